"""Package metadata. Tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "keras_gssl" / "version.py").read_text()).group(1)

#: A package index shows the README without the repository's pictures.
README = re.sub(r"!\[([^\]]*)\]\((?!https?:)[^)]*\)\n*", "", (HERE / "README.md").read_text(encoding="utf-8"))

EXPORT = ["onnx>=1.16", "tf2onnx>=1.17", "onnxruntime>=1.18"]
EXPLAIN = ["tf-keras-vis>=0.8.7"]
AUDIT = ["cleanlab>=2.7"]
SWEEP = ["ray>=2.40"]
DOCS = ["mkdocs-material>=9.5", "mkdocstrings[python]>=0.26", "jupytext"]
TEST = ["pytest>=8", "pytest-xdist", "hypothesis", "nbclient", "ipykernel", "ruff==0.17.6", "mypy==2.4.1"]

setup(
    name="keras_gssl",
    version=VERSION,
    description="Gated self-supervised learning for long-tailed image classification, for Keras 3 on TensorFlow",
    long_description=README,
    long_description_content_type="text/markdown",
    author="keras_gssl contributors",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=find_packages(include=["keras_gssl", "keras_gssl.*"]),
    package_data={"keras_gssl": ["py.typed", "**/*.pyi"]},
    entry_points={"console_scripts": ["keras-gssl = keras_gssl.cli:main"]},
    install_requires=[
        "tensorflow>=2.19",
        "keras>=3.10",
        "imagehash>=4.3",
        "lazy_loader>=0.4",
        "matplotlib>=3.8",
        "numpy",
        "pillow>=10",
        "scikit-learn",
        "scipy",
        "tensorboard",
        "tensorflow-datasets>=4.9.7",
        "wrapt",
        "importlib_resources",  # tensorflow-datasets imports it without declaring it
        "tomli; python_version < '3.11'",
    ],
    extras_require={
        "audit": AUDIT,
        "cuda": ["tensorflow[and-cuda]>=2.19"],
        "explain": EXPLAIN,
        "export": EXPORT,
        "sweep": SWEEP,
        "docs": DOCS,
        "benchmarks": ["torch==2.13.0", "simplejpeg"],
        "hub": ["keras-hub>=0.18"],
        "test": [*AUDIT, *EXPLAIN, *EXPORT, *SWEEP, *DOCS, *TEST],
    },
    classifiers=[
        "Intended Audience :: Science/Research",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
    ],
)
