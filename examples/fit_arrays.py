"""Train on arrays, look at rare classes, export: `python examples/fit_arrays.py`, some twenty seconds on two cores."""

import keras
import numpy as np

import keras_gssl as gssl

data = gssl.data.digits_lt(0.05)  # 1,797 digits of 8x8, the rarest class with 5 % of the most frequent one's pictures
images, labels = data.train_images, data.train_labels

model = gssl.GatedSSLModel(
    gssl.backbones.resnet_cifar(8),
    num_classes=data.num_classes,
    tasks=[gssl.Flip(), gssl.LoRotE()],
    task_heads="dense",
    draw=gssl.TaskDraw("one", share=0.5),  # half of the pictures, one task each
    gating="look-ahead",
    ssl_ratio=0.5,
    preprocessing=gssl.PixelNormalization.of(images),
)
model.compile(
    optimizer=gssl.SGD(gssl.ToZero(0.1, steps=8 * -(-len(images) // 32), warmup_steps=30), momentum=0.9, nesterov=True),
    loss=gssl.LogitAdjustedLoss(data.class_counts, scale=30.0),
    metrics=["accuracy"],
)
model.fit(images, labels, batch_size=32, epochs=8, verbose=2)

classifier = model.classifier()  # stock Keras layers: pixels in, logits out
found = np.argmax(classifier.predict(data.test_images, verbose=0), axis=-1)
for label, count in enumerate(data.class_counts):
    right = np.mean(found[data.test_labels == label] == label)
    print(f"class {label}: {count:>3} training pictures, {100 * right:5.1f} % of the test pictures right")

classifier.save("classifier.keras")
assert keras.models.load_model("classifier.keras").output_shape == (None, 10)
gssl.export.to_onnx(gssl.export.Deployable.from_model(model, data), "classifier.onnx")
print("classifier.keras and classifier.onnx written")
