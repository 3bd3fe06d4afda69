from __future__ import annotations

import numpy as np
import pytest

from headstart.images.views import PLAIN, PRESETS, SMALLEST_CROP, Preset, View, exact_views, make_views

CROPPING: tuple[Preset, ...] = ("text", "natural")
MOST = {"none": 1, "flips": 4, "orientation-free": 8}

each_preset = pytest.mark.parametrize("preset", PRESETS)


def posed(view: View) -> str:
    """What a small picture without any symmetry looks like in this view, its crop aside."""
    turned = np.rot90(np.arange(9).reshape(3, 3), view.quarter_turns)
    return str((turned[:, ::-1] if view.mirrored else turned).tolist())


@each_preset
@pytest.mark.parametrize("count", [1, 2, 3, 8, 20])
def test_a_preset_gives_as_many_views_as_are_wanted_or_all_it_has(preset: Preset, count: int) -> None:
    assert len(make_views(preset, count, seed=0)) == min(count, MOST.get(preset, count))


@each_preset
def test_the_plain_view_comes_first_and_is_the_whole_image(preset: Preset) -> None:
    assert make_views(preset, 5, seed=3)[0] == PLAIN == View((0.0, 0.0, 1.0, 1.0), 0, False)


@each_preset
def test_no_two_views_have_the_same_key(preset: Preset) -> None:
    keys = [view.key for view in make_views(preset, 64, seed=0)]
    assert len(set(keys)) == len(keys)


@each_preset
def test_wanting_more_views_keeps_the_first_ones(preset: Preset) -> None:
    """Their features are in the store already."""
    assert make_views(preset, 12, seed=4)[:5] == make_views(preset, 5, seed=4)


@pytest.mark.parametrize("preset", CROPPING)
def test_the_seed_draws_the_crops(preset: Preset) -> None:
    assert make_views(preset, 8, seed=1) == make_views(preset, 8, seed=1)
    assert make_views(preset, 8, seed=1) != make_views(preset, 8, seed=2)


@pytest.mark.parametrize("preset", ["none", "flips", "orientation-free"])
def test_presets_without_crops_need_no_seed(preset: Preset) -> None:
    assert make_views(preset, 8, seed=1) == make_views(preset, 8, seed=2)


@pytest.mark.parametrize("preset", CROPPING)
def test_crops_lie_inside_the_image_and_keep_its_proportions(preset: Preset) -> None:
    for left, top, right, bottom in (view.box for view in make_views(preset, 500, seed=0)):
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
        assert right - left >= SMALLEST_CROP - 1e-9
        assert right - left == pytest.approx(bottom - top)


def test_natural_views_mirror_half_of_the_images_and_never_turn_them() -> None:
    views = make_views("natural", 20, seed=0)
    assert sum(view.mirrored for view in views) == 10
    assert {view.quarter_turns for view in views} == {0}


def test_crops_alone_neither_mirror_nor_turn() -> None:
    views = make_views("text", 20, seed=0)
    assert not any(view.mirrored or view.quarter_turns for view in views)


def test_flips_are_the_four_that_keep_an_image_s_sides_upright() -> None:
    views = make_views("flips", 8, seed=0)
    assert {view.quarter_turns for view in views} == {0, 2}
    assert len({posed(view) for view in views}) == 4


def test_orientation_free_views_are_all_eight_symmetries_of_a_square() -> None:
    assert len({posed(view) for view in make_views("orientation-free", 8, seed=0)}) == 8


def test_a_key_says_box_turns_and_mirror() -> None:
    assert PLAIN.key == "0.0000,0.0000,1.0000,1.0000;0;0"
    assert View((0.1, 0.2, 0.9, 1.0), 3, True).key == "0.1000,0.2000,0.9000,1.0000;3;1"


@each_preset
@pytest.mark.parametrize("is_square", [True, False])
def test_exact_views_are_those_of_the_preset_that_show_the_whole_image(preset: Preset, is_square: bool) -> None:
    found = exact_views(preset, is_square=is_square)
    fitting = [view for view in make_views(preset, 20, seed=0) if is_square or view.quarter_turns % 2 == 0]
    assert list(found) == [view for view in fitting if view.is_exact]


def test_there_are_one_two_four_or_eight_exact_views() -> None:
    counts = {preset: len(exact_views(preset, is_square=True)) for preset in PRESETS}
    assert counts == {"none": 1, "text": 1, "natural": 2, "flips": 4, "orientation-free": 8}
    assert len(exact_views("orientation-free", is_square=False)) == 4


def test_a_view_is_its_three_flips() -> None:
    """Whoever has pixels but no image makes views by these."""
    pixels = np.arange(9).reshape(3, 3)
    for view in make_views("orientation-free", 8, seed=0):
        is_transposed, rows_reversed, columns_reversed = view.flips
        found = pixels.T if is_transposed else pixels
        found = found[:: -1 if rows_reversed else 1, :: -1 if columns_reversed else 1]
        assert str(found.tolist()) == posed(view)
