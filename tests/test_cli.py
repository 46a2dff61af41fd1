"""The commands: what they show, how they end, and the one funnel for mistakes."""

import subprocess
import sys
from pathlib import Path

import pytest

from keras_gssl import cli, errors
from keras_gssl.files import replacing
from keras_gssl.version import __version__


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], "quickstart"),
        (["quickstart"], "--quick"),
        (["train"], "image_folder"),
        (["train", "cifar10_lt"], "--imbalance-ratio"),
        (["tables"], "--report"),
        (["report"], "RUN"),
        (["explain"], "--embeddings"),
        (["export"], "saved-model"),
        (["export", "onnx"], "--int8"),
        (["export", "saved-model"], "--probabilities"),
        (["export", "litert"], "--max-drop"),
        (["predict"], "--top"),
    ],
)
def test_help_of_every_command(arguments, shown, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([*arguments, "--help"])
    assert caught.value.code == 0 and shown in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out.strip() == f"keras-gssl {__version__}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "no.onnx", "no.png"], "error: There is no file or folder no.onnx."),
        (["report", "no run"], "is not the folder of a finished run"),
        (["explain", "no run", "sample:0"], "error: "),
        (["export", "onnx", "no run", "-o", "c.onnx"], "error: Cannot use no run"),
        (["tables", "no.toml"], "error: Cannot read the table no.toml"),
        (["train", "cifar10_lt", "--epochs", "0"], "error: epochs must be at least 1"),
        (["train", "image_folder", "no folder"], "error: There is no folder or list no folder."),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["exprot"], "did you mean export? (see keras-gssl --help)"),
        (["train", "cifar10-lt"], "did you mean cifar10_lt?"),
        (
            ["train", "image_folder", "photos", "--epohcs", "3"],
            "--epohcs 3; did you mean --epochs?",
        ),
        (["quickstart", "--method", "ldam"], "did you mean ldam-drw?"),
        (["train", "photos"], "photos is no recipe; did you mean `keras-gssl train image_folder photos`?"),
        (["train", "x" * 300], "invalid choice"),
        (["predict", "c.onnx", "a.jpg", "--zzz"], "unrecognized arguments: --zzz (see keras-gssl predict --help)"),
    ],
)
def test_a_slip_of_the_pen_is_one_line_that_says_what_was_meant(arguments, meant, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    said = capsys.readouterr().err
    assert caught.value.code == 2 and meant in said and len(said.splitlines()) == 1, said


def test_unknown_words_end_with_exit_code_2(capsys):
    for wrong in (["paint"], ["train", "everything"], ["export", "pdf", "x"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(wrong)
        assert caught.value.code == 2 and "invalid choice" in capsys.readouterr().err


def failing(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "printed"),
    [
        (errors.UserError("mend it"), 2, "error: mend it"),
        (OSError(28, "No space left on device", "runs/a"), 2, "error: runs/a: No space left on device"),
        (OSError("nothing is known"), 2, "error: nothing is known"),
        (PermissionError(), 2, "error: PermissionError"),
        (KeyboardInterrupt(), 130, "interrupted; go on"),
    ],
)
def test_one_funnel(error, code, printed, capsys):
    assert errors.as_command(failing(error), when_interrupted="go on") == code
    assert capsys.readouterr().err.strip() == printed
    assert errors.as_command(lambda: 3) == 3 and errors.as_command(lambda: None) == 0


def test_a_mistake_is_a_value_error():
    assert issubclass(errors.UserError, ValueError) and issubclass(errors.DataNotFoundError, FileNotFoundError)


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    (tmp_path / "photos").mkdir()
    with pytest.raises(IsADirectoryError), replacing(tmp_path / "photos") as partial:
        partial.write_text("a file")
    assert (tmp_path / "photos").is_dir(), "a file never takes a folder's place"
    with replacing(tmp_path / "folder") as partial:
        partial.mkdir()
        (partial / "one").write_text("1")
    with replacing(tmp_path / "folder") as partial:
        partial.mkdir()
    assert not list((tmp_path / "folder").iterdir())


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "keras_gssl", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert done.stdout.strip() == f"python -m keras_gssl {__version__}"
