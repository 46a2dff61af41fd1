"""Find pictures with wrong labels, odd ones, and those that are there twice, from predictions of held-out pictures.

    python -m keras_gssl.audit runs/image_folder                    # the pictures that this run has held out
    keras-gssl compare photos --methods ce ldam-drw --folds 5       # every picture is held out once
    python -m keras_gssl.audit compare/photos

It writes audit.html, audit.csv (every label with its quality) and corrections.csv, which
`keras-gssl train image_folder photos --corrections corrections.csv` takes after you have looked at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from keras_gssl.arguments import Parser
from keras_gssl.audit.issues import Findings, find_issues, suggestions
from keras_gssl.audit.page import write_page
from keras_gssl.audit.predictions import HeldOut, read_held_out
from keras_gssl.errors import as_command, counted
from keras_gssl.files import write_csv

NAMED = 10


def main(argv: Sequence[str] | None = None, prog: str = "python -m keras_gssl.audit") -> int:
    """Returns the exit code."""
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folders of finished runs, or of a comparison")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="default: RUN/audit, of the first")
    arguments = parser.parse_args(argv)
    return as_command(lambda: _audit(arguments.runs, arguments.output or Path(arguments.runs[0]) / "audit"))


def _audit(folders: Sequence[str], output: Path) -> None:
    held_out = read_held_out(folders)
    findings = find_issues(held_out)
    output.mkdir(parents=True, exist_ok=True)
    likely = suggestions(held_out, findings)
    write_csv(output / "corrections.csv", ("path", "label"), ((path, new) for path, _, new, _ in likely))
    write_csv(output / "audit.csv", ("path", "label", "likely", "quality"), _rows(held_out, findings))
    page = write_page(held_out, findings, output / "audit.html")
    print(
        f"{len(held_out.names):,} of {held_out.all_pictures:,} pictures: "
        f"{counted(len(likely), 'label is', 'labels are')} likely wrong, "
        f"{counted(len(findings.twice), 'pair of pictures is', 'pairs of pictures are')} nearly the same, "
        f"{counted(len(findings.odd), 'picture is', 'pictures are')} the oddest."
    )
    for path, given, new, quality in likely[:NAMED]:
        print(f"   {path}: {given}, likely {new} (quality {quality:.3f})")
    if len(likely) > NAMED:
        print(f"   and {len(likely) - NAMED} more")
    print(f"Page:        {page}\nCorrections: {output / 'corrections.csv'} (look before you use it)")


def _rows(held_out: HeldOut, findings: Findings) -> Iterable[tuple[Any, ...]]:
    names = held_out.class_names
    for position in findings.quality.argsort(kind="stable"):
        likely = names[held_out.probabilities[position].argmax()]
        given = names[held_out.labels[position]]
        yield held_out.names[position], given, likely, f"{findings.quality[position]:.4f}"
