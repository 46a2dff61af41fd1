"""Importing this registers with Keras every class of the package that a saved model may hold."""

import keras_gssl.metrics
import keras_gssl.models.gated
import keras_gssl.models.sla_sd
import keras_gssl.optimizers.adamw
import keras_gssl.optimizers.muon
import keras_gssl.schedules  # noqa: F401
