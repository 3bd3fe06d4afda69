from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from headstart.errors import UnknownNameError, UsageError
from headstart.learn.benefit import WAYS, Benefit
from headstart.progress import Advance, Display
from headstart.workflow import compare
from headstart.workflow.comparing import parse_fractions

MakeImages = Callable[..., Path]
SHARES = (0.25, 1.0)


class Watching(Display):
    """Remembers what is done, and may be interrupted where a stage begins."""

    def __init__(self, until: str = "never") -> None:
        self.titles: list[str] = []
        self._until = until

    @contextmanager
    def stage(self, title: str, total: int | None, unit: str) -> Iterator[Advance]:
        if title.startswith(self._until):
            raise KeyboardInterrupt
        self.titles.append(title)
        yield lambda count: None

    def say(self, sentence: str) -> None:
        """Nothing."""

    @property
    def learned(self) -> list[str]:
        """The networks that were trained."""
        return [title for title in self.titles if "seed" in title]


def copied(cache: Path, to: Path) -> Path:
    shutil.copytree(cache / "prefixes", to / "prefixes")
    return to


def figures(found: Benefit) -> list[tuple[str, float, Sequence[float], Sequence[str]]]:
    return [(point.way, point.fraction, point.goodness, point.settings) for point in found.standing.points]


def run(data: Path | Iterator[object], cache: Path, display: Display | None = None, **options: object) -> Benefit:
    how = {"fractions": SHARES, "seeds": 1, "time": "10m", "base": "untrained"} | options
    return compare(data, cache=cache, display=display, **how)


@pytest.fixture(scope="module")
def resumed(
    photos: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Benefit, Watching, Watching, Path]:
    """A comparison that was interrupted where training from scratch began, and given again."""
    cache = copied(warm_cache, tmp_path_factory.mktemp("resumed"))
    before, after = Watching(until="From scratch"), Watching()
    with pytest.raises(KeyboardInterrupt):
        run(photos, cache, before)
    return run(photos, cache, after), before, after, cache


def test_all_ways_are_compared_on_the_same_test_images(resumed: tuple[Benefit, Watching, Watching, Path]) -> None:
    found = resumed[0]
    points = found.standing.points
    assert [(point.way, point.fraction) for point in points] == [(way, share) for way in WAYS for share in SHARES]
    assert all(point.is_there for point in points)
    assert found.learned_from + found.tested_on == 72
    assert {point.images for point in points if point.fraction == 1} == {found.learned_from}
    assert all(second > 0 for point in points for second in point.seconds)
    assert found.standing.at("scratch", 1.0).time > found.standing.at("probe", 1.0).time
    assert found.caveat == ""  # ten minutes are enough for so small a network
    told = {choice["what"]: choice for choice in found.choices}
    assert told["image size"]["value"] == "32×32, for all ways"
    assert told["settings tried"]["value"].startswith("from scratch: rate 0.001 and rate 0.0003; frozen, probe: streng")


def test_an_interrupted_comparison_goes_on_where_it_was(
    resumed: tuple[Benefit, Watching, Watching, Path], photos: Path
) -> None:
    found, before, after, cache = resumed
    assert before.learned
    assert set(before.learned).isdisjoint(after.learned)
    assert len(before.learned) + len(after.learned) == len(WAYS) * len(SHARES)
    watching = Watching()
    again = run(photos, cache, watching)
    assert watching.learned == []
    assert again.standing == found.standing


def test_it_comes_to_what_it_would_have_come_to(
    resumed: tuple[Benefit, Watching, Watching, Path], photos: Path, warm_cache: Path, tmp_path: Path
) -> None:
    uninterrupted = run(photos, copied(warm_cache, tmp_path))
    assert figures(uninterrupted) == figures(resumed[0])


def test_other_settings_are_other_networks(resumed: tuple[Benefit, Watching, Watching, Path], photos: Path) -> None:
    watching = Watching(until="Frozen, classic")
    with pytest.raises(KeyboardInterrupt):
        run(photos, resumed[3], watching, seed=1)
    assert watching.learned == ["Frozen, probe, 25%, seed 1", "Frozen, probe, 100%, seed 1"]


def test_what_there_is_no_time_for_is_said_and_done_the_next_time(
    resumed: tuple[Benefit, Watching, Watching, Path], photos: Path
) -> None:
    found = run(photos, resumed[3], time="1s", seeds=2, fractions=(0.5,))
    assert found.standing.verdict == "open"
    assert found.headline == "There was too little time to tell whether transfer learning helps here."
    assert {point.way for point in found.standing.missing} == set(WAYS)
    assert found.as_dict()["points"][0]["mean"] is None
    assert "trained for about 100 steps only" in found.caveat


def test_labels_that_are_noise_are_found_to_be(make_images: MakeImages, tmp_path: Path, warm_cache: Path) -> None:
    made = make_images(tmp_path / "made", {"same": 160}, size=48)
    rng = np.random.default_rng(0)
    for path in sorted(made.rglob("*.png")):
        label = "heads" if rng.random() < 0.5 else "tails"
        (tmp_path / "noise" / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "noise" / label / path.name)
    found = run(tmp_path / "noise", copied(warm_cache, tmp_path), fractions=(0.5, 1.0))
    assert found.standing.verdict == "nothing learned"
    assert found.headline.startswith("Nothing can be learned from these labels")
    assert found.standing.helped == ()


@pytest.mark.parametrize(("table", "measure"), [("tags", "mean average precision"), ("weights", "R²")])
def test_labels_and_numbers_are_compared_too(
    tables: Path, warm_cache: Path, tmp_path: Path, table: str, measure: str
) -> None:
    found = run(tables / f"{table}.csv", copied(warm_cache, tmp_path), fractions=(1.0,))
    assert found.measure == measure
    assert found.standing.missing == ()
    assert found.standing.at("probe", 1.0).mean > found.standing.guessing + 0.1


def test_pairs_in_python_are_compared_too(photos: Path, warm_cache: Path, tmp_path: Path) -> None:
    pairs = [(path, path.parent.name) for path in sorted(photos.rglob("*.png"))]
    found = run(iter(pairs), copied(warm_cache, tmp_path), time="1s")
    assert found.source == "a list of 72 images"
    assert found.learned_from + found.tested_on == 72


def test_shares_are_typed_in_percent() -> None:
    assert parse_fractions("5,10, 25%,100") == (0.05, 0.1, 0.25, 1.0)
    with pytest.raises(UsageError, match="'half' aren't shares of the labels; give percents such as 5,10,25,50,100"):
        parse_fractions("half")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fractions": (0.0, 1.0)}, "a share of the labels is out of range; give percents above 0 and up to 100"),
        ({"fractions": (1.5,)}, "a share of the labels is out of range"),
        ({"fractions": ()}, "a share of the labels is out of range"),
        ({"seeds": 0}, "--seeds is 0; give a whole number from 1 on"),
        ({"time": "soon"}, "'soon' is no time"),
        ({"time": 0}, "--time is 0 seconds"),
        ({"seed": -1}, "the seed -1 is out of range"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(options: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        run(tmp_path / "nowhere", tmp_path, **options)


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="there is no precision named 'f16'; did you mean"):
        run(tmp_path / "nowhere", tmp_path, precision="f16")
