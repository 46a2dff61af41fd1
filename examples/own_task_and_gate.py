"""A pretext task and a gate of one's own: `python examples/own_task_and_gate.py`."""

import keras
import tensorflow as tf

import keras_gssl as gssl


@keras.saving.register_keras_serializable(package="my_project")
class Shift(gssl.PretextTask):
    """Shift the quadrant's rows by none, a quarter, a half or three quarters; what leaves below comes in above."""

    num_choices = 4

    def transform(self, patches, choices):
        side = patches.shape[1]
        shifted = [tf.roll(patches, side * number // 4, axis=1) for number in range(4)]
        return tf.gather(tf.stack(shifted, axis=1), choices, axis=1, batch_dims=1)


@keras.saving.register_keras_serializable(package="my_project")
class FirstTaskFirst(gssl.Gate):
    """Twice as much weight for the first task as for each of the others."""

    trained = False

    def call(self, features):
        weights = tf.constant([2.0] + [1.0] * (self.num_tasks - 1))
        return tf.tile((weights / tf.reduce_sum(weights))[None], (tf.shape(features)[0], 1))


data = gssl.data.digits_lt()
tasks = [Shift(), gssl.LoRotE()]
model = gssl.GatedSSLModel(
    gssl.backbones.resnet_cifar(8), data.num_classes, tasks, gating=FirstTaskFirst(), ssl_ratio=0.5, task_heads="dense"
)
model.compile(gssl.SGD(0.05, momentum=0.9), gssl.LDAMLoss(data.class_counts), metrics=["accuracy"])
history = model.fit(data.train(batch_size=32, tasks=tasks, seed=0), epochs=6, verbose=2).history
for task in tasks:
    accuracy, chance = history[f"{task.name}_accuracy"][-1], 1 / task.num_labels
    print(f"{task.name}: right in {accuracy:.2f}, chance {chance:.2f}, weight {history[f'gate_{task.name}'][-1]:.2f}")

model.save("with_shift.keras")
assert [task.name for task in keras.models.load_model("with_shift.keras").tasks] == ["shift", "lorot"]
