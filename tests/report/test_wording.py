from __future__ import annotations

import pytest

from headstart.report import wording


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.8642, "86.4 %"), (1.0, "100.0 %"), (0.9999, "99.9 %"), (0.0, "0.0 %")],
)
def test_percent(share: float, text: str) -> None:
    assert wording.percent(share).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (4.12, "4.1 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (192, "3 min 12 s"), (3725, "1 h 2 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert wording.duration(seconds).replace("\u00a0", " ") == text


@pytest.mark.parametrize(("size", "text"), [(0, "0 bytes"), (1, "1 byte"), (12_345, "12 kB"), (3_120_000, "3.1 MB")])
def test_file_size(size: int, text: str) -> None:
    assert wording.file_size(size).replace("\u00a0", " ") == text


@pytest.mark.parametrize(("names", "text"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_listed(names: list[str], text: str) -> None:
    assert wording.listed(names) == text


def test_counted() -> None:
    assert wording.counted(1, "image") == "1 image"
    assert wording.counted(1836, "image") == "1,836 images"
    assert wording.counted(0, "class", "classes") == "0 classes"


def test_tidy_keeps_the_end_of_a_long_name() -> None:
    short = wording.tidy("long" * 50 + ".png")
    assert len(short) == wording.LONGEST_NAME
    assert short.endswith("long.png")
    assert "…" in short


@pytest.mark.parametrize("character", ["\n", "\x00", "\x1b", "\x7f", "\u202e", "\u2066", "\u2028", "\udcff"])
def test_tidy_replaces_what_could_mislead(character: str) -> None:
    assert wording.tidy(f"a{character}b") == "a\ufffdb"


def test_tidy_leaves_the_worlds_letters_alone() -> None:
    assert wording.tidy("Käfer 甲虫 خنفساء 🪲") == "Käfer 甲虫 خنفساء 🪲"


@pytest.mark.parametrize(("deviation", "decimals"), [(0.4, 3), (1.0, 2), (25.0, 1), (999.0, 0), (1e6, 0), (1e-20, 12)])
def test_decimals_tell_numbers_apart_that_vary_so_much(deviation: float, decimals: int) -> None:
    assert wording.decimals_for(deviation) == decimals


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [(0.35, 3, "0.350"), (1234567.8, 0, "1,234,568"), (-0.5, 1, "−0.5"), (-0.0001, 2, "0.00"), (0.0, 0, "0")],
)
def test_numbers_are_shown_as_people_write_them(value: float, decimals: int, shown: str) -> None:
    assert wording.number(value, decimals) == shown
