"""A thousand files as strangers leave them; `make torture` tries a hundred thousand."""

from tests.fuzz import attempts


def test_whatever_is_in_a_file_it_is_taken_or_refused_in_one_line():
    wrong = [(name, fault, content) for name, fault, content in attempts(1000, seed=1) if fault]
    assert not wrong, wrong[:3]
