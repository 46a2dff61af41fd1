from . import applications as applications
from . import backbones as backbones
from .gated import GatedSSLModel as GatedSSLModel
from .sla_sd import SLASDModel as SLASDModel
from .ssp import RotationPrediction as RotationPrediction
from .ssp import rotation_model as rotation_model
from .ssp import transfer_backbone as transfer_backbone
from .supervised import SupervisedModel as SupervisedModel
