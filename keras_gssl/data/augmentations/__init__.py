"""Random changes of whole batches of images, in TensorFlow operations, as pure functions of seeds."""
