"""Fine-tune a network of keras.applications: `python examples/finetune_application.py [imagenet]`.

With `imagenet` Keras fetches the weights; without, the network begins at random, which is enough to see how it is done.
"""

import sys

import keras
import numpy as np

import keras_gssl as gssl

weights = "imagenet" if "imagenet" in sys.argv[1:] else None
digits = gssl.data.digits_lt(0.1)
labels, few = digits.train_labels, slice(0, 160)
images = np.repeat(np.repeat(digits.train_images, 2, axis=1), 2, axis=2)  # 32x32 pixels to 64x64

backbone = gssl.backbones.make_backbone("MobileNet", (64, 64, 3), weights)  # scales pixels itself
model = gssl.GatedSSLModel(
    backbone,
    num_classes=digits.num_classes,
    tasks=[gssl.Flip()],
    task_heads="dense",
    heads="dense",
    backbone_learning_rate_factor=0.1,  # smaller steps for what has learned already
)
model.compile(gssl.AdamW(1e-3, weight_decay=0.01), gssl.LogitAdjustedLoss(digits.class_counts), metrics=["accuracy"])
heads_first = gssl.FreezeBackbone(epochs=1)
model.fit(images[few], labels[few], batch_size=16, epochs=2, verbose=2, callbacks=[heads_first])

model.classifier().save("finetuned.keras")
print("finetuned.keras takes pixels of", keras.models.load_model("finetuned.keras").input_shape[1:])
