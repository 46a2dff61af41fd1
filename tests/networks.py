"""A network for tests of what does not depend on the network: a ResNet takes longer to trace."""

import keras

import keras_gssl as gssl


def small_backbone(side=16):
    image = keras.Input((side, side, 3), name="image")
    # A bias before the norm has no gradient: its values would be what rounding leaves, and no two trainings the same.
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv")(image)
    x = gssl.FusedBatchNormalization(name="norm")(x)
    x = keras.layers.ReLU(name="relu")(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="features")(x), name="small")
