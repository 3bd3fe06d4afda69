from __future__ import annotations

import pytest

from headstart.data.labels import Label, in_words, names_in, written


@pytest.mark.parametrize(
    ("label", "cell", "words", "names"),
    [
        ("cat", "cat", "'cat'", ("cat",)),
        (("a", "b"), "a|b", "'a' + 'b'", ("a", "b")),
        ((), "", "nothing", ()),
        (1 / 3, "0.3333333333333333", "0.333333", ()),
    ],
)
def test_a_label_is_written_and_told(label: Label, cell: str, words: str, names: tuple[str, ...]) -> None:
    assert written(label) == cell
    assert in_words(label) == words
    assert names_in(label) == names


@pytest.mark.parametrize("number", [1 / 3, 1e-300, -0.0, 123456789.123456789])
def test_a_number_reads_back_as_the_same(number: float) -> None:
    assert float(written(number)) == number
