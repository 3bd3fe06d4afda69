from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.catalog import get_base
from headstart.catalog.untrained import BASE
from headstart.data.dataset import Dataset
from headstart.data.scan import scan
from headstart.errors import UnknownNameError, UsageError, WeightsError
from headstart.workflow.candidates import CandidateChoice

LITE0, LITE1 = get_base("efficientnet-lite0"), get_base("efficientnet-lite1")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, make_images: Callable[..., Path]) -> Dataset:
    return scan(make_images(tmp_path_factory.mktemp("data") / "photos", {"cat": 2, "dog": 2}, size=300))


def sizes(choice: CandidateChoice, dataset: Dataset) -> list[tuple[str, int, int]]:
    return [(base.name, base.spec.height, base.spec.width) for base in choice.sized([LITE0, LITE1], dataset)]


def test_without_names_those_whose_weights_are_here_are_compared(tmp_path: Path) -> None:
    found = CandidateChoice().resolve(tmp_path, None)
    assert [base.name for base in found][:3] == ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]
    assert all(base.weights.is_here() for base in found)


def test_named_ones_are_compared_the_cheapest_first_and_once(tmp_path: Path) -> None:
    found = CandidateChoice(("efficientnet-lite1", BASE, "efficientnet_lite1")).resolve(tmp_path, None)
    assert [base.name for base in found] == ["untrained", "efficientnet-lite1"]


def test_a_name_that_is_none_and_weights_that_are_not_here_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no base named 'resnet5'"):
        CandidateChoice(("resnet5",)).resolve(tmp_path, None)
    with pytest.raises(WeightsError, match="the weights of vgg16 aren't here"):
        CandidateChoice(("vgg16",), offline=True).resolve(tmp_path, None)


def test_weights_of_one_base_alone_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.weights.h5"
    path.write_bytes(b"x")
    with pytest.raises(UsageError, match="of one base alone"):
        CandidateChoice(weights=path).resolve(tmp_path, None)


def test_every_base_is_seen_at_its_own_size_before_any_at_a_smaller_one(dataset: Dataset) -> None:
    own = [("efficientnet-lite0", 224, 224), ("efficientnet-lite1", 240, 240)]
    assert sizes(CandidateChoice(), dataset) == [
        *own,
        ("efficientnet-lite0", 160, 160),
        ("efficientnet-lite1", 160, 160),
    ]


def test_tiny_images_get_the_size_that_training_would_try(tmp_path: Path, make_images: Callable[..., Path]) -> None:
    tiny = scan(make_images(tmp_path / "tiny", {"cat": 2, "dog": 2}, size=28))
    assert sizes(CandidateChoice(), tiny)[2:] == [("efficientnet-lite0", 64, 64), ("efficientnet-lite1", 64, 64)]


def test_sizes_that_are_asked_for_are_all_that_are_compared(dataset: Dataset) -> None:
    asked = CandidateChoice(image_sizes=(96, (64, 128), 96))
    assert sizes(asked, dataset)[::2] == [("efficientnet-lite0", 96, 96), ("efficientnet-lite0", 64, 128)]
    with pytest.raises(UsageError, match="takes no images of 8×8 pixels"):
        CandidateChoice(image_sizes=(8,)).sized([LITE0], dataset)


def test_no_size_is_below_what_a_base_needs(dataset: Dataset) -> None:
    choosy = replace(LITE0, smallest=200)
    assert [base.spec.height for base in CandidateChoice().sized([choosy], dataset)] == [224, 200]
