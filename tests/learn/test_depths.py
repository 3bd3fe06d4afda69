from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart.catalog import get_base
from headstart.catalog.untrained import BASE
from headstart.errors import HeadstartError
from headstart.features.extract import extract
from headstart.features.store import Store
from headstart.images.views import PLAIN
from headstart.learn.base_features import BaseFeatures
from headstart.learn.depths import Depths, lower_parts

DETAILED = replace(BASE, detail="stage1")


@pytest.fixture(scope="module")
def files(photos: Path) -> list[Path]:
    return sorted(photos.rglob("*.png"))[:6]


def test_lower_parts_end_where_channels_change_the_largest_first() -> None:
    names = [base.name for base in lower_parts(get_base("efficientnet-lite0"))]
    assert names == ["efficientnet-lite0@block15_project_bn", "efficientnet-lite0@block14_add"]
    assert [base.stages[-1] for base in lower_parts(get_base("resnet50"))] == ["conv4_block6_out", "conv3_block4_out"]
    assert lower_parts(BASE.up_to("stage0")) == ()


@pytest.mark.parametrize("base", [BASE, DETAILED], ids=["plain", "detail"])
def test_features_are_those_that_each_part_gives_by_itself(base: object, files: list[Path], tmp_path: Path) -> None:
    with Store(tmp_path / "together") as together, Store(tmp_path / "alone") as alone:
        depths = Depths(base, together)  # type: ignore[arg-type]
        assert [each.name for each in depths.bases] == ["untrained", "untrained@stage1", "untrained@stage0"]
        kinds = depths.features("f32")
        extraction = extract(files, kinds[0])
        assert extraction.computed == 6
        wanted = [(extraction.digests[file], PLAIN) for file in files]
        for each, kind in zip(depths.bases, kinds, strict=True):
            by_itself = BaseFeatures(each, alone).pooled("f32")
            extract(files, by_itself)
            assert kind.key(*wanted[0]) == by_itself.key(*wanted[0])
            assert kind.load(wanted).shape == (6, each.features)
            np.testing.assert_allclose(kind.load(wanted), by_itself.load(wanted), rtol=1e-4, atol=1e-5)


def test_an_image_that_lacks_one_of_them_is_computed_again(files: list[Path], cache_dir: Path) -> None:
    with Store(cache_dir) as store:
        whole = BaseFeatures(BASE, store).pooled("f32")
        extract(files[:2], whole)
        features = Depths(BASE, store).features("f32")
        assert extract(files, features[0]).computed == 6
        assert extract(files, features[0]).computed == 0
        digest = hashlib.sha256(files[5].read_bytes()).hexdigest()
        assert features[2].load([(digest, PLAIN)]).shape == (1, 8)


def test_where_all_are_stored_no_network_is_made(files: list[Path], tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        extract(files, Depths(BASE, store).features("f32")[0])
        broken = replace(BASE, architecture=lambda **options: (_ for _ in ()).throw(AssertionError))
        again = Depths(broken, store)
        for folder in (tmp_path / "prefixes").iterdir():
            for file in folder.iterdir():
                file.unlink()
        assert extract(files, again.features("f32")[0]).reused == 6
        with pytest.raises((AssertionError, HeadstartError)):
            assert again.network
