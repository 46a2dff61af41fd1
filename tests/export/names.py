"""What the tests call a file of each kind."""

NAMES = {"onnx": "c.onnx", "litert": "c.tflite", "saved_model": "c"}
