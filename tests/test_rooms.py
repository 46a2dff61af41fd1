"""How the package is laid out: a house of one column, in which every room uses only what lies below it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "keras_gssl"

#: From the ground up; what stands on one line does not know of each other.
FLOORS = [
    {
        "version",
        "files",
        "lazy",
        "quiet_tensorflow",
        "randomness",
        "configured",
        "intervals",
        "bounds",
        "interrupts",
        "arguments",
        "choices",
        "milestones",
        "class_groups",
    },
    {"errors"},
    {"backend", "extras", "downloads", "sharing"},
    {"devices", "losses", "draws"},
    {"layers", "metrics", "optimizers", "schedules", "callbacks", "probabilities"},
    {"pretext"},
    {"data"},
    {"models"},
    {"runs"},
    {"export"},
    {"report"},
    {"recipes"},
    {"predict", "explain", "audit", "watch"},
    {"cli"},
    {"__main__", ""},  # "" is keras_gssl itself, which shows users what all the rooms hold
]
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def names_of(package):
    """What a package's stub gives out, and the module that defines each."""
    stub = SOURCES[package].with_suffix(".pyi") if SOURCES[package].name == "__init__.py" else None
    if stub is None or not stub.exists():
        return {}
    found = {}
    for node in ast.parse(stub.read_text()).body:
        assert isinstance(node, ast.ImportFrom) and node.level == 1, stub
        for alias in node.names:
            source = f"{package}.{node.module}" if node.module else package
            inner = f"{source}.{alias.name}"
            found[alias.name] = inner if inner in SOURCES else source
    return found


LAZY = {package: names_of(package) for package in SOURCES}


def imported(tree):
    """Modules that the code imports, wherever in it (in functions too), and the lazy public names it uses for that."""
    modules, lazily = set(), set()
    for node in ast.walk(tree):
        assert not getattr(node, "level", 0), "imports name the whole module"
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names if alias.name.split(".")[0] == "keras_gssl"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "keras_gssl":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                modules.add(inner if inner in SOURCES else node.module)
                if alias.name in LAZY.get(node.module, {}):
                    lazily.add(inner)
    return modules, lazily


GRAPH = {name: imported(ast.parse(path.read_text())) for name, path in SOURCES.items()}


def all_imports(name):
    return GRAPH[name][0] | set(LAZY[name].values())


def room_of(module):
    return [*module.split("."), ""][1]


def test_every_room_is_on_a_floor():
    assert {room_of(name) for name in SOURCES} == set(FLOOR)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_nothing_uses_what_lies_above_it(name):
    """`__init__` files with their stubs included, imports within functions too."""
    room = room_of(name)
    for other in all_imports(name):
        assert other in SOURCES, f"{name} imports {other}, which does not exist"
        below = FLOOR[room_of(other)] < FLOOR[room]
        assert below or room_of(other) == room, f"{name} imports {other}, which is not below it"


def test_no_import_goes_in_a_circle():
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            path.append(name)
            for other in sorted(all_imports(name)):
                visit(other)
            done.add(path.pop())

    for name in sorted(SOURCES):
        visit(name)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_modules_import_from_where_a_name_is_defined(name):
    """Public names are imported when they are used, for users; within the package they would hide a circle."""
    _, lazily = GRAPH[name]
    assert not lazily, f"{name} imports {sorted(lazily)}: name the module that defines it"


def test_only_the_backend_imports_keras_and_tensorflow():
    for name, path in SOURCES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found = {(node.module or "").split(".")[0]}
            else:
                continue
            assert name == "keras_gssl.backend" or not found & {"keras", "tensorflow"}, name


def test_only_commands_parse_arguments_and_speak_of_options():
    commands = {"predict", "explain", "watch", "cli", "arguments", "recipes", "__main__"}
    for name, path in SOURCES.items():
        if room_of(name) in commands or name.endswith((".command", ".exporting", ".__main__")):
            continue
        tree = ast.parse(path.read_text())
        modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert "argparse" not in modules, name
        texts = [
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        options = [text for text in texts if re.search(r"(?<!var)(^|[\s(])--[a-z]", text)]
        assert name == "keras_gssl.report.page" or not options, (name, options)  # whose style sheet has variables


def test_public_names_are_those_of_the_stubs():
    import keras_gssl as gssl

    for package, names in LAZY.items():
        module = sys.modules.get(package) or __import__(package, fromlist=["_"])
        for name in names:
            assert getattr(module, name) is not None, f"{package}.{name}"
    assert {"GatedSSLModel", "data", "export", "PixelNormalization"} <= set(dir(gssl))


@pytest.mark.parametrize(
    "code",
    [
        "import keras_gssl",
        "import keras_gssl.predict",
        "from keras_gssl import predict, errors",
        "import keras_gssl.export.opened",
        "from keras_gssl.export import open_exported",
        "from keras_gssl.data.pictures import read_picture",
        "import keras_gssl.cli; keras_gssl.cli.COMMANDS",
        "import keras_gssl.recipes.catalogue, keras_gssl.recipes.quickstart",
        "import keras_gssl.export.command, keras_gssl.report.command, keras_gssl.explain, keras_gssl.audit.command",
        "import keras_gssl.watch",
        "import keras_gssl.recipes.tables.command, keras_gssl.recipes.compare.command",
    ],
)
def test_imports_no_tensorflow(code):
    code += "; import sys; assert not {'tensorflow', 'keras'} & set(sys.modules), sys.modules.keys()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


OPTIONS = """
import sys
from keras_gssl.cli import main
for words in (
    "train digits_lt --epochs 0", "train image_folder", "train cifar10_lt --epohcs 3", "quickstart --seed -1",
    "tables no.toml", "export litert run -o c.onnx", "export onnx run -o c.onnx --mean 1", "explain run",
    "explain run a.png --methods Magic", "compare", "watch no_run", "audit no_run", "report",
):
    try:
        code = main(words.split())
    except SystemExit as ended:
        code = ended.code
    assert code == 2 and not {"tensorflow", "keras"} & set(sys.modules), words
"""


def test_mistakes_in_options_need_no_tensorflow(tmp_path):
    done = subprocess.run([sys.executable, "-c", OPTIONS], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


def test_files_are_short():
    lengths = {name: len(path.read_text().splitlines()) for name, path in SOURCES.items()}
    assert not {name: length for name, length in lengths.items() if length > 300}
