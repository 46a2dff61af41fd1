"""Whatever is given by mistake ends in one line, before training; docs/bad_inputs.md shows them all."""

import pytest

from keras_gssl.bounds import Bounds
from tests.bad_inputs import PAGE, ROOMS, all_messages, page


def test_every_bad_input_is_told_in_one_line_as_the_page_says():
    told, wrong = all_messages()
    assert not wrong, "\n".join(wrong)
    assert sum(len(each) for each in ROOMS.values()) >= 150
    assert PAGE.read_text(encoding="utf-8") == page(told), "run `python -m tests.bad_inputs`, which makes the page"


@pytest.mark.parametrize(
    ("bounds", "value", "said"),
    [
        (Bounds(least=0), -1, "must be at least 0, received -1"),
        (Bounds(least=0), float("nan"), "must be a finite number, received nan"),
        (Bounds(least=0), True, "must be a finite number, received True"),
        (Bounds(least=0), "1", "must be a finite number, received '1'"),
        (Bounds(least=0), 2e6, "must be at least 0 and at most 1000000, received 2e+06"),
        (Bounds(above=0, below=1), 1.0, "must be above 0 and below 1, received 1"),
        (Bounds(whole=True, least=1), 1.0, "must be a whole number, received 1"),
        (Bounds(whole=True, least=1), 10**100, "must be at least 1 and at most 2147483647, received 1000"),
        (Bounds(least=0, most=1), 1, None),
        (Bounds(above=0, below=1), 0.5, None),
    ],
)
def test_bounds_say_what_is_allowed(bounds, value, said):
    complaint = bounds.complaint(value)
    assert complaint is None if said is None else complaint.startswith(said)
