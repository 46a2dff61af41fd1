"""Importing this registers with Keras every class of the package that Keras saves: in a model, or by itself."""

import keras_gssl.data.augmentations.catalogue
import keras_gssl.metrics
import keras_gssl.models.gated
import keras_gssl.models.sla_sd
import keras_gssl.optimizers.adamw
import keras_gssl.optimizers.muon
import keras_gssl.schedules  # noqa: F401
