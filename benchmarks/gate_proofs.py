"""What the look-ahead gate's reward is worth, on tasks of which it is known beforehand what they do.

    python -m benchmarks.gate_proofs planted --seeds 10
    python -m benchmarks.gate_proofs signs --probes 300
    python -m benchmarks.gate_proofs draw --seeds 10

Each prints a table and writes it as JSON beside the other results.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
RESULTS = Path(__file__).parent / "results"

SIDE, TASKS = 16, ("helpful", "useless", "harmful")
NOISE, STEP = 2.0, 0.001
SHARES = (0.25, 0.25, 0.25, 0.25)


def pictures(classes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Faint stripes of any phase in noise: upright, lying, and in both diagonals, a direction for each class."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    along = np.stack([columns, rows, rows + columns, rows - columns])[classes]
    phase = random.uniform(0, 2 * np.pi, (len(classes), 1, 1))
    stripes = np.sin(2 * np.pi * along / 6 + phase)
    return (stripes + random.normal(0, NOISE, stripes.shape))[..., np.newaxis].astype("float32")


def planted_data(seed: int, count: int = 4096) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Four classes, equally frequent, and the labels of three tasks.

    The helpful task's label is the class, the useless one's a coin's toss, the harmful one's again the class.
    """
    random = np.random.default_rng(seed)
    classes = random.choice(len(SHARES), count, p=SHARES).astype("int32")
    coin = random.integers(0, len(SHARES), count, dtype="int32")
    images = pictures(classes, random)
    labels = {"class": classes, "helpful": classes, "useless": coin, "harmful": classes, "unaltered_images": images}
    return images, labels


def planted_model(seed: int, gating: Any = "look-ahead", ratio: float = 0.05, useless_from_nothing: bool = True) -> Any:
    import keras

    import keras_gssl as gssl

    class Echo(keras.layers.Layer):
        def __init__(self, head: Any, sign: float):
            super().__init__(dtype="float32")
            self.head, self.sign = lambda: head, sign

        def call(self, features: Any) -> Any:
            kernel = keras.ops.stop_gradient(keras.ops.normalize(self.head().kernel, axis=0))
            return self.sign * 30 * keras.ops.matmul(keras.ops.normalize(features, axis=-1), kernel)

    class Told(gssl.PretextTask):
        num_choices = len(SHARES)

    keras.utils.set_random_seed(seed)
    body = [
        keras.Input((SIDE, SIDE, 1)),
        keras.layers.Conv2D(8, 5, strides=2, activation="relu"),
        keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
    ]
    model = gssl.GatedSSLModel(
        keras.Sequential(body),
        len(SHARES),
        [Told(name=name) for name in TASKS],
        ratio,
        gating,
        "cosine",
        preprocessing=False,
        task_heads="dense",
    )
    # The helpful and the harmful head read the features as the class head does, the latter with its sign turned: a
    # step down its loss takes the class away. The useless one learns by itself.
    if useless_from_nothing:
        model.pretext_heads[1].set_weights([np.zeros_like(each) for each in model.pretext_heads[1].get_weights()])
    for index in (0, 2):
        model.pretext_heads[index].trainable = False
    model.pretext_heads[0] = Echo(model.class_head, 1.0)
    model.pretext_heads[2] = Echo(model.class_head, -1.0)
    model.compile(optimizer=gssl.SGD(0.002, momentum=0.9), loss=gssl.LogitAdjustedLoss([1, 1, 1, 1], scale=30.0))
    return model


def planted(seed: int, epochs: int = 6) -> dict[str, Any]:
    """Mean rewards and weights of the three tasks over the last epoch, and the weight of none."""
    import tensorflow as tf

    import keras_gssl as gssl

    images, labels = planted_data(seed)
    model = planted_model(seed, gssl.LookAheadGate(every=5))
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images), seed=seed).batch(128)
    history = model.fit(dataset, epochs=epochs, verbose=0).history
    weights = {name: history[f"gate_{name}"][-1] for name in TASKS}
    rewards = {name: history[f"reward_{name}"][-1] for name in TASKS}
    return {"seed": seed, "weights": weights, "none": 1 - sum(weights.values()), "rewards": rewards}


def in_order(result: dict[str, Any]) -> bool:
    helpful, useless, harmful = (result["weights"][name] for name in TASKS)
    return helpful > useless > harmful


def signs(probes: int, seeds: Sequence[int] = range(20)) -> list[dict[str, Any]]:
    """For single batches, the reward of each task, and what a step with the task really does to held-out classes.

    The step is one of plain gradient descent on the class loss and a tenth of the task's; the change is that of the
    class-balanced loss of held-out images between the step with and the step without the task.
    """
    import tensorflow as tf

    found: list[dict[str, Any]] = []
    for seed in seeds:
        images, labels = planted_data(seed)
        model = planted_model(seed, "look-ahead", useless_from_nothing=False)
        held_out, held_labels = planted_data(1000 + seed)
        of_class = np.bincount(held_labels["class"], minlength=len(SHARES))
        balance = tf.constant((1 / of_class)[held_labels["class"]] * len(held_out) / len(SHARES), tf.float32)
        dataset = tf.data.Dataset.from_tensor_slices((images, labels)).repeat().shuffle(4096, seed=seed).batch(128)
        train_step = tf.function(model.train_step)
        batches, per_task = iter(dataset), -(-probes // len(seeds)) // len(TASKS) + 1

        for step in range(per_task):
            for _ in range(2):
                train_step(next(batches))
            batch, told = next(batches)
            for name, reward, gain in probe(model, batch, told, (held_out, held_labels["class"], balance)):
                found.append({"seed": seed, "step": step, "task": name, "reward": reward, "gain": gain})
    return found


def probe(model: Any, batch: Any, told: Any, held_out: Any) -> list[tuple[str, float, float]]:
    """For each task its name, its reward on this batch, and what a step with it gains on held-out images."""
    import keras
    import tensorflow as tf

    weights = model.backbone.trainable_variables

    def logits(pixels: Any) -> Any:
        return model.logit_scale * model.class_head(model.features(pixels, training=False))

    def class_loss(pixels: Any, classes: Any, weight: Any = 1.0) -> Any:
        losses = keras.ops.sparse_categorical_crossentropy(classes, logits(pixels), from_logits=True)
        return tf.reduce_mean(weight * losses)

    def task_losses() -> Any:
        return model.judged(model.seen(batch, False)[2], told).losses

    model.look_ahead.learn(weights, lambda: logits(batch), told["class"])
    (rewards,), _ = model.look_ahead.along(weights, lambda: (task_losses(),))
    with tf.GradientTape(persistent=True) as tape:
        means = tf.unstack(tf.reduce_mean(task_losses(), axis=0))
        whole = class_loss(batch, told["class"])
    of_class, before = tape.gradient(whole, weights), [tf.identity(weight) for weight in weights]
    found = []
    for index, name in enumerate(TASKS):
        of_task, after = tape.gradient(means[index], weights), []
        for share in (0.0, 0.1):
            for weight, start, one, two in zip(weights, before, of_class, of_task, strict=True):
                weight.assign(start - STEP * (one + share * (0.0 if two is None else two)))
            after.append(float(class_loss(*held_out)))
        for weight, start in zip(weights, before, strict=True):
            weight.assign(start)
        found.append((name, float(tf.reduce_mean(rewards[:, index])), after[0] - after[1]))
    return found


def draw(seed: int, epochs: int = 12) -> dict[str, Any]:
    """Chances of each task for each class, where half a turn of a whole quadrant makes one class look like another.

    Three classes: a bright upper half, a bright lower half (the alteration exchanges the two), and a bright middle that
    it leaves as it is. A second task changes nothing that tells classes apart.
    """
    import keras
    import tensorflow as tf

    import keras_gssl as gssl

    class Exchange(gssl.PretextTask):
        num_choices = 2

        def transform(self, patches: Any, choices: Any) -> Any:
            return tf.where((choices >= 0)[:, None, None, None], patches[:, ::-1], patches)

    class Mirror(gssl.PretextTask):
        num_choices = 2

        def transform(self, patches: Any, choices: Any) -> Any:
            return tf.where((choices == 1)[:, None, None, None], patches[:, :, ::-1], patches)

    random = np.random.default_rng(seed)
    classes = random.choice(3, 4096, p=[0.5, 0.25, 0.25]).astype("int32")
    images = random.normal(0, 0.5, (4096, SIDE, SIDE, 1)).astype("float32")
    # Each quadrant is an image in small, so that what is done to one exchanges what tells the classes apart there.
    halves = np.repeat([[1, 0], [0, 1], [0.5, 0.5]], SIDE // 4, axis=1)
    images += np.tile(halves[classes], (1, 2))[:, :, None, None].astype("float32")
    keras.utils.set_random_seed(seed)
    body = [
        keras.Input((SIDE, SIDE, 1)),
        keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
        keras.layers.Conv2D(16, 4, strides=4, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="relu"),
    ]
    tasks = [Exchange(), Mirror()]
    steering = gssl.LookAheadSteering()
    model = gssl.GatedSSLModel(
        keras.Sequential(body), 3, tasks, 0.0, "none", "dense", preprocessing=False, steering=steering
    )
    model.compile(
        optimizer=gssl.SGD(0.02, momentum=0.9), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    dataset = tf.data.Dataset.from_tensor_slices((images, classes)).shuffle(4096, seed=seed).batch(64)
    model.fit(dataset, epochs=epochs, verbose=0)
    chances = np.asarray(model.steering.chances(np.arange(3)))
    return {"seed": seed, "exchange": chances[:, 0].tolist(), "mirror": chances[:, 1].tolist()}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate_proofs", description=__doc__)
    parser.add_argument("what", choices=("planted", "signs", "draw"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--probes", type=int, default=300)
    options = parser.parse_args(argv)
    if options.what == "planted":
        results = [planted(seed) for seed in range(options.seeds)]
        for each in results:
            shown = "  ".join(f"{name} {each['weights'][name]:.3f}" for name in TASKS)
            print(f"seed {each['seed']}: {shown}  none {each['none']:.3f}  in order: {in_order(each)}")
        print(f"{sum(map(in_order, results))} of {len(results)} in order")
    elif options.what == "draw":
        results = [draw(seed) for seed in range(options.seeds)]
        for each in results:
            print(each)
    else:
        results = signs(options.probes)
        for name in (*TASKS, "all"):
            chosen = [each for each in results if name in (each["task"], "all")]
            agree = [each["reward"] * each["gain"] > 0 for each in chosen]
            print(f"{name:8} {sum(agree)} of {len(agree)} signs agree ({np.mean(agree):.1%})")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"gate_{options.what}.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
