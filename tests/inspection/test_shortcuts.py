from __future__ import annotations

import numpy as np
import pytest

from headstart.inspection.shortcuts import in_bins, shortcuts

LABELS = np.repeat([0, 1], [60, 40])


def test_a_format_that_gives_the_class_away_is_found() -> None:
    formats = ["PNG"] * 58 + ["JPEG"] * 2 + ["JPEG"] * 40
    found = shortcuts({"file format": formats, "kind of pixels": ["RGB"] * 100}, LABELS)
    assert [shortcut.trait for shortcut in found] == ["file format"]
    assert found[0].right == pytest.approx(0.98)
    assert found[0].guessing == pytest.approx(0.6)
    assert found[0].values == {0: ("PNG", pytest.approx(58 / 60)), 1: ("JPEG", 1.0)}


def test_one_that_is_spread_alike_is_not_nor_one_that_every_image_has_for_itself() -> None:
    alike = ["PNG", "JPEG"] * 50
    own = [f"{number}" for number in range(100)]
    assert shortcuts({"file format": alike, "size": own}, LABELS) == []


def test_a_value_is_judged_by_the_other_images_that_have_it() -> None:
    own = ["PNG"] * 60 + [f"{number}" for number in range(40)]
    assert shortcuts({"size": own}, LABELS) == []


def test_few_images_show_nothing() -> None:
    assert shortcuts({"file format": ["PNG"] * 8 + ["JPEG"] * 8}, np.repeat([0, 1], 8)) == []
    assert shortcuts({"file format": ["PNG"] * 50 + ["JPEG"] * 50}, np.zeros(100, int)) == []


def test_the_clearest_comes_first() -> None:
    clear, less_clear = ["a"] * 60 + ["b"] * 40, ["a"] * 60 + ["b"] * 30 + ["a"] * 10
    found = shortcuts({"shape": less_clear, "size": clear}, LABELS)
    assert [shortcut.trait for shortcut in found] == ["size", "shape"]


def test_numbers_fall_into_bins_of_equal_count_and_few_values_stand_for_themselves() -> None:
    bins = in_bins(np.arange(80.0))
    assert len(set(bins)) == 8
    assert {bins.count(each) for each in set(bins)} == {10}
    assert bins[0] == bins[9] == "0 to 9.88"
    assert in_bins(np.array([3.0, 3.0])) == ["3", "3"]
