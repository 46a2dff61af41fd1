"""A page and a service that classify pictures, with onnxruntime, NumPy and Pillow alone: no TensorFlow, no keras_gssl.

python examples/serve.py classifier.onnx        # http://127.0.0.1:8000, or a port of your own after the file
curl --data-binary @photo.jpg http://127.0.0.1:8000
"""

import http.server
import io
import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

PAGE = b"""<!doctype html><title>Classifier</title><pre id=answer></pre><input type=file accept="image/*"
onchange="fetch('/',{method:'POST',body:this.files[0]}).then(r=>r.text()).then(t=>answer.textContent=t)">"""
LARGEST = 20_000_000  # bytes of a picture
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")  # a stranger's file is not to start anything else

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
about = session.get_modelmeta().custom_metadata_map
class_names = json.loads(about["class_names"])
height, width = session.get_inputs()[0].shape[1:3]
made_square = ImageOps.pad if about.get("fit") == "pad" else ImageOps.fit


def classify(content: bytes) -> dict[str, float]:
    """The three likeliest classes and their probabilities, of a picture of any size."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(content), formats=FORMATS)).convert("RGB")
    pixels = np.asarray(made_square(picture, (width, height), Image.Resampling.BILINEAR))[None]
    (likely,) = session.run(None, {"image": pixels.astype(about["input"].split()[0])})[0]
    if about["output"] != "probabilities":
        likely = np.exp(likely - likely.max())
        likely /= likely.sum()
    return {class_names[index]: round(float(likely[index]), 4) for index in np.argsort(-likely)[:3]}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, PAGE, "text/html")

    def do_POST(self):
        try:
            content = self.rfile.read(min(int(self.headers["Content-Length"]), LARGEST))
            self.answer(200, json.dumps(classify(content)).encode(), "application/json")
        except (OSError, ValueError, TypeError, Image.DecompressionBombError):
            self.answer(400, f"expected a picture as {', '.join(FORMATS)}".encode(), "text/plain")

    def answer(self, status, content, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(content)


port = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
with http.server.HTTPServer(("127.0.0.1", port), Handler) as server:
    print(f"http://127.0.0.1:{server.server_port}", flush=True)  # it listens by now: who reads this may ask
    server.serve_forever()
