"""The page of an audit: pictures to look at, with what is likely wrong with each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_gssl.audit.issues import Findings, thumbnails
from keras_gssl.audit.predictions import HeldOut
from keras_gssl.files import write_text
from keras_gssl.report.images import Figure, gallery, side_by_side
from keras_gssl.report.page import page, section

SHOWN = 120


def write_page(held_out: HeldOut, findings: Findings, output: Path) -> Path:
    """Write `audit.html`."""
    names = held_out.class_names

    def captioned(positions: Sequence[int] | np.ndarray, captions: Sequence[str]) -> str:
        pixels = thumbnails(held_out, positions)
        return gallery([Figure(image, caption) for image, caption in zip(pixels, captions, strict=True)])

    def about(position: int) -> str:
        return f"{held_out.names[position]}: {names[held_out.labels[position]]}"

    wrong, suggested = findings.wrong[:SHOWN], findings.suggested[:SHOWN]
    doubtful = [
        f"{about(position)}, likely {names[likely]} ({100 * held_out.probabilities[position, likely]:.0f} %)"
        for position, likely in zip(wrong, suggested, strict=True)
    ]
    pairs = findings.twice[:SHOWN]
    twice = []
    for one, other in pairs:
        left, right = thumbnails(held_out, (one, other))
        same = held_out.labels[one] == held_out.labels[other]
        told = "" if same else " - different labels"
        twice.append(Figure(side_by_side((left, right)), f"{about(one)} and {about(other)}{told}"))
    odd = findings.odd[:SHOWN]
    sections = [
        section(
            f"Labels that are likely wrong ({len(findings.wrong)})",
            captioned(wrong, doubtful) if len(wrong) else "<p>None.</p>",
            "The most doubtful first: the label given, and the class that the network, which has not seen the picture "
            "in training, takes it for. The network is wrong at times, too; look before you correct.",
            wide=True,
        ),
        section(
            f"Pictures that are there twice ({len(findings.twice)})",
            gallery(twice, "pairs") if twice else "<p>None.</p>",
            "The same, or nearly; those with two different labels first.",
            wide=True,
        ),
        section(
            f"Pictures that are like no class ({len(findings.odd)})",
            captioned(odd, [about(position) for position in odd]),
            "The oddest 2 % by what the network makes of them: other things, bad pictures, or rare kinds of the class.",
            wide=True,
        ),
    ]
    lead = (
        f"<p>{len(held_out.names):,} of {held_out.all_pictures:,} pictures were predicted by a network that was not "
        f"trained on them"
        + (
            ""
            if len(held_out.names) == held_out.all_pictures
            else "; with the runs of all folds (compare with folds) every picture would be"
        )
        + ". <code>corrections.csv</code> beside this page holds the likely classes: delete the lines that you do not "
        "agree with, write - as the label of a picture that is to be left out, and train with "
        "<code>corrections</code> set to that file.</p>"
    )
    write_text(output, page("Audit of the labels", lead, sections))
    return output
