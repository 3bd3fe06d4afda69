from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.cells import as_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        ("", ""),
        (" cat\n", "cat"),
        ("a|b", "a|b"),
        (True, "1"),
        (False, "0"),
        (0, "0"),
        (-7, "-7"),
        (2**70, "1180591620717411303424"),
        (0.1, "0.1"),
        (3.0, "3"),
        (1e300, "1e+300"),
        (float("-inf"), "-inf"),
        ([], ""),
        (["x"], "x"),
        (["x", "y"], "x|y"),
        ([" x ", "", None, "y"], "x|y"),
        ((1, 2.5, True), "1|2.5|1"),
    ],
)
def test_plain_values_are_text_as_a_table_of_text_has_it(value: Any, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize(
    "value",
    [{}, {"a": 1}, [["x"]], ["x", {}], [()], b"x", [b"x"], datetime.date(2020, 1, 1), Decimal("1.5"), object()],
)
def test_other_values_have_no_text(value: Any) -> None:
    assert as_text(value) is None


def test_half_a_character_becomes_something_that_can_be_written() -> None:
    text = as_text("a\ud800b")
    assert text is not None
    assert text.encode("utf-8") == b"a?b"


@given(st.integers() | st.floats(allow_nan=False))
def test_a_number_reads_back_as_the_same_number(number: float) -> None:
    text = as_text(number)
    assert text is not None
    assert type(number)(text) == number
