from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.errors import UnknownNameError
from headstart.features.boundary import prefix
from headstart.features.extract import extract
from headstart.features.store import Store
from headstart.images.views import MIRRORED, PLAIN
from headstart.learn import base_features
from headstart.learn.base_features import BaseFeatures


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, make_images: Any) -> list[Path]:
    return sorted(make_images(tmp_path_factory.mktemp("images"), {"cat": 3, "dog": 3}).rglob("*.png"))


@pytest.fixture
def features(cache_dir: Path) -> Iterator[BaseFeatures]:
    with Store(cache_dir) as store:
        yield BaseFeatures(BASE, store)


def rendered(images: list[Path]) -> np.ndarray:
    return np.stack([BASE.spec.render(path.read_bytes())[0] for path in images])


def stored(features: Any, images: list[Path]) -> np.ndarray:
    digests = extract(images, features).digests
    return np.asarray(features.load([(digests[path], PLAIN) for path in images]))


def test_pooled_features_are_averages_of_the_last_feature_map(features: BaseFeatures, images: list[Path]) -> None:
    found = stored(features.pooled("f32"), images)
    expected = np.asarray(BASE.build()(rendered(images), training=False)).mean(axis=(1, 2))
    assert (found.dtype, found.shape) == (np.float32, (6, BASE.features))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_pooled_features_take_in_the_map_that_shows_details(cache_dir: Path, images: list[Path]) -> None:
    base = replace(BASE, detail="stage1")
    with Store(cache_dir) as store:
        found = stored(BaseFeatures(base, store).pooled("f32"), images)
    model = BASE.build()
    last = np.asarray(model(rendered(images), training=False))
    detail = np.asarray(prefix(model, "stage1")(rendered(images), training=False))
    of_detail = [detail.mean(axis=(1, 2)), detail.max(axis=(1, 2)), detail.std(axis=(1, 2))]
    expected = np.concatenate([*of_detail, last.mean(axis=(1, 2))], axis=1)
    assert found.shape == (6, base.features)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_features_at_a_cut_are_the_outputs_of_its_prefix_in_half_precision(
    features: BaseFeatures, images: list[Path]
) -> None:
    found = stored(features.at("stage1", "f32"), images)
    expected = np.asarray(prefix(BASE.build(), "stage1")(rendered(images), training=False))
    assert (found.dtype, found.shape) == (np.float16, (6, 8, 8, 16))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_one_run_gives_pooled_features_and_a_map(features: BaseFeatures, images: list[Path], cache_dir: Path) -> None:
    both = features.pooled_with_map("stage1", "f32")
    digests = extract(images, both, (PLAIN, MIRRORED)).digests
    wanted = [(digests[path], view) for path in images for view in (PLAIN, MIRRORED)]
    with Store(cache_dir / "apart") as store:
        apart = BaseFeatures(BASE, store)
        for some, kept in ((apart.pooled("f32"), both), (apart.at("stage1", "f32"), features.at("stage1", "f32"))):
            extract(images, some, (PLAIN, MIRRORED))
            found, expected = kept.load(wanted), some.load(wanted)
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_what_one_run_gave_is_not_computed_again(features: BaseFeatures, images: list[Path]) -> None:
    assert extract(images, features.pooled_with_map("stage1", "f32")).computed == 6
    assert extract(images, features.pooled("f32")).computed == 0
    assert extract(images, features.at("stage1", "f32")).computed == 0


def test_the_engine_for_both_is_opened_once_and_only_where_something_is_missing(
    features: BaseFeatures, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    features.at("stage1", "f32")
    opened: list[Path] = []
    engine = base_features.OpenVINOEngine
    both = features.pooled_with_map("stage1", "f32")
    monkeypatch.setattr(base_features, "OpenVINOEngine", lambda path, precision: opened.append(path) or engine(path))
    for views in ((PLAIN,), (PLAIN, MIRRORED), (PLAIN, MIRRORED)):
        extract(images, both, views)
    assert len(opened) == 1
    again = features.pooled_with_map("stage1", "f32")
    opened.clear()
    extract(images, again, (PLAIN, MIRRORED))
    assert both.engine.identity == again.engine.identity
    assert opened == []


def test_a_map_is_not_looked_for_where_the_pooled_features_are_there(
    features: BaseFeatures, images: list[Path]
) -> None:
    extract(images, features.pooled("f32"))
    assert extract(images, features.pooled_with_map("stage1", "f32")).computed == 0
    assert extract(images, features.at("stage1", "f32")).computed == 6


def test_features_of_different_places_and_precisions_have_different_keys(features: BaseFeatures) -> None:
    sets = [features.pooled("f32"), features.at("stage1", "f32"), features.at("stage2", "f32"), features.pooled("bf16")]
    sets.append(BaseFeatures(replace(BASE, detail="stage1"), features._store).pooled("f32"))
    assert len({some.key("ab", PLAIN) for some in sets}) == 5
    assert all(BASE.fingerprint in some.network for some in sets)


def test_an_unknown_cut_is_named_with_the_nearest_one(features: BaseFeatures) -> None:
    with pytest.raises(UnknownNameError, match=r"there is no cut named 'stag1'; did you mean 'stage1'\?"):
        features.at("stag1", "f32")


def test_a_model_that_was_trained_meanwhile_is_no_reason_to_mix_features(
    features: BaseFeatures, images: list[Path]
) -> None:
    before = stored(features.pooled("f32"), images)
    assert features.model is features.model
    np.testing.assert_array_equal(stored(features.pooled("f32"), images), before)


WARM_START = """
import sys
from pathlib import Path
from headstart.catalog.untrained import BASE
from headstart.features.extract import extract
from headstart.features.store import Store
from headstart.learn import base_features
from headstart.learn.base_features import BaseFeatures

with Store(Path(sys.argv[1])) as store:
    features = BaseFeatures(BASE, store)
    for some in (features.pooled("f32"), features.at("stage1", "f32")):
        result = extract([Path(name) for name in sys.argv[2:]], some)
        print(result.computed, result.reused)
print(sorted({"keras", "tensorflow"} & set(sys.modules)))
"""


def test_a_warm_start_needs_no_keras(features: BaseFeatures, images: list[Path], cache_dir: Path) -> None:
    for some in (features.pooled("f32"), features.at("stage1", "f32")):
        extract(images[:4], some)
    command = [sys.executable, "-c", WARM_START, str(cache_dir), *map(str, images)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["2 4", "2 4", "[]"], done.stderr
