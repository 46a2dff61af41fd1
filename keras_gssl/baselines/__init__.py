"""Methods that gated self-supervision is compared with: SLA+SD and SSP."""

from keras_gssl.baselines.sla_sd import SLASDModel
from keras_gssl.baselines.ssp import RotationPrediction, rotation_model, transfer_backbone

__all__ = ["RotationPrediction", "SLASDModel", "rotation_model", "transfer_backbone"]
