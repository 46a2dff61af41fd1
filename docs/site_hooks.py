"""What the site has that is not a file in docs/: the README as its first page, and the pages of the API."""

import ast
from pathlib import Path

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
#: Page, and the parts of the package whose public names it shows.
API = {
    "models": ("Models", ("models",)),
    "pretext": ("Tasks and gates", ("pretext",)),
    "data": ("Data", ("data",)),
    "training": ("Training", ("losses", "optimizers", "schedules", "callbacks", "layers", "metrics", "errors")),
    "runs": ("Runs", ("runs",)),
    "report": ("Reports", ("report",)),
    "export": ("Export", ("export",)),
}
WHOLE = ("models.backbones", "models.applications", "metrics")  # modules that are public themselves


def on_files(files: Files, config) -> Files:
    pages = {
        "index.md": _moved("README.md"),
        "contributing.md": _moved("CONTRIBUTING.md"),
        "changelog.md": _moved("CHANGELOG.md"),
        "examples.md": _examples(),
        "CITATION.cff": (ROOT / "CITATION.cff").read_text(encoding="utf-8"),
        **{f"api/{name}.md": _api(*what) for name, what in API.items()},
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def _moved(name: str) -> str:
    """A page of the repository's root, with its links as they are within docs/."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
    return text.replace("](CONTRIBUTING.md)", "](contributing.md)").replace("](examples/)", "](examples.md)")


def _examples() -> str:
    parts = ["# Examples", "Each runs as it is, in less than a minute on two cores; `serve.py` until it is stopped."]
    for path in sorted((ROOT / "examples").glob("*.py")):
        parts += [f"## {path.name}", f"```python\n{path.read_text(encoding='utf-8').strip()}\n```"]
    return "\n\n".join(parts) + "\n"


def _api(title: str, parts: tuple[str, ...]) -> str:
    wanted = [name for name in public_names() if name.split(".")[1] in parts]
    return "\n\n".join([f"# {title}", *(f"::: {name}" for name in wanted)]) + "\n"


def public_names() -> list[str]:
    """Where everything public is defined, as the package's own stubs say."""
    found = {f"keras_gssl.{module}" for module in WHOLE}
    for stub in sorted((ROOT / "keras_gssl").rglob("__init__.pyi")):
        package = ["keras_gssl", *stub.parent.relative_to(ROOT / "keras_gssl").parts]
        for node in ast.parse(stub.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {".".join([*package, node.module, alias.name]) for alias in node.names}
    return sorted(name for name in found if not name.endswith("__version__"))
