from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.errors import StoreError
from headstart.features.engine import KerasEngine
from headstart.features.extract import FeatureSet, extract, render_all
from headstart.features.store import Store
from headstart.images.spec import ImageSpec
from headstart.images.views import MIRRORED, PLAIN, UPSIDE_DOWN, View

MakeFeatures = Callable[..., FeatureSet]
LEFT_HALF = View(box=(0.0, 0.0, 0.5, 1.0))


@pytest.fixture
def images(tmp_path: Path, make_images: Any) -> list[Path]:
    return sorted(make_images(tmp_path / "images", {"cat": 6, "dog": 5}, size=20).rglob("*.png"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def means(path: Path, spec: ImageSpec, view: View = PLAIN) -> np.ndarray:
    """What the engine of these tests makes of a file."""
    return spec.render(path.read_bytes(), (view,))[0].mean(axis=(0, 1))


def loaded(features: FeatureSet, paths: list[Path], view: View = PLAIN) -> np.ndarray:
    return features.load([(digest(path), view) for path in paths])


def test_each_image_gets_its_own_feature(images: list[Path], make_features: MakeFeatures) -> None:
    features = make_features()
    extract(images, features)
    expected = np.stack([means(path, features.spec) for path in images])
    assert len(np.unique(expected, axis=0)) == len(images)
    np.testing.assert_array_equal(loaded(features, images), expected)


def test_features_are_those_of_the_network(images: list[Path], make_features: MakeFeatures, untrained: Any) -> None:
    spec = ImageSpec(32, 32, interpolation="bilinear", offset=127.5, divisor=127.5)
    features = make_features(spec=spec, engine=KerasEngine(untrained, batch_size=4))
    extract(images, features, (PLAIN, MIRRORED))
    for view in (PLAIN, MIRRORED):
        inputs = np.stack([spec.render(path.read_bytes(), (view,))[0] for path in images])
        expected = np.asarray(untrained(inputs, training=False))
        np.testing.assert_allclose(loaded(features, images, view), expected, rtol=1e-4, atol=1e-5)


def test_every_file_is_accounted_for(images: list[Path], make_features: MakeFeatures, tmp_path: Path) -> None:
    text, gone, folder = tmp_path / "text.png", tmp_path / "gone.png", tmp_path / "folder.png"
    text.write_text("no image")
    folder.mkdir()
    result = extract([*images[:3], text, gone, folder, *images[3:]], make_features())
    assert result.digests == {path: digest(path) for path in (*images, text)}
    assert set(result.unreadable) == {text, gone, folder}
    assert result.unreadable[text].startswith("not an image in a format that is read here")
    assert result.unreadable[gone] == "the file can't be read (No such file or directory)"
    assert result.unreadable[folder].startswith("the file can't be read (")
    assert (result.computed, result.reused) == (len(images), 0)
    assert result.decode_seconds > 0


def test_a_second_run_computes_nothing(images: list[Path], make_features: MakeFeatures, channel_means: Any) -> None:
    extract(images, make_features())
    engine = channel_means()
    features = make_features(engine=engine)
    result = extract(images, features)
    assert (result.computed, result.reused, engine.seen) == (0, len(images), [])
    assert result.digests == {path: digest(path) for path in images}
    assert len(loaded(features, images)) == len(images)


def test_only_added_images_are_computed(images: list[Path], make_features: MakeFeatures, channel_means: Any) -> None:
    extract(images[:7], make_features())
    engine = channel_means()
    features = make_features(engine=engine)
    result = extract(images, features)
    assert (result.computed, result.reused) == (4, 7)
    assert set(engine.seen) == {(digest(path), PLAIN) for path in images[7:]}


def test_only_added_views_are_computed(images: list[Path], make_features: MakeFeatures) -> None:
    extract(images, make_features(), (PLAIN, MIRRORED))
    result = extract(images, make_features(), (MIRRORED, UPSIDE_DOWN, PLAIN))
    assert (result.computed, result.reused) == (len(images), 2 * len(images))


def test_a_moved_and_renamed_file_is_recognised_by_its_content(
    images: list[Path], make_features: MakeFeatures, tmp_path: Path
) -> None:
    extract(images, make_features())
    moved = images[0].rename(tmp_path / "elsewhere.jpg")
    result = extract([moved], make_features())
    assert (result.computed, result.reused) == (0, 1)


def test_copies_of_an_image_share_its_feature(
    images: list[Path], make_features: MakeFeatures, tmp_path: Path, store: Store
) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(images[0].read_bytes())
    result = extract([images[0], copy, images[1]], make_features())
    assert result.digests[copy] == result.digests[images[0]]
    assert result.computed + result.reused == 3
    assert store.info().values == 2


def test_each_view_has_a_feature_of_its_own(images: list[Path], make_features: MakeFeatures) -> None:
    features = make_features()
    result = extract(images, features, (PLAIN, LEFT_HALF))
    assert (result.computed, result.reused) == (2 * len(images), 0)
    for view in (PLAIN, LEFT_HALF):
        expected = np.stack([means(path, features.spec, view) for path in images])
        np.testing.assert_allclose(loaded(features, images, view), expected, atol=1e-6)
    assert np.abs(loaded(features, images) - loaded(features, images, LEFT_HALF)).min(axis=1).max() > 1e-3


def test_features_come_in_the_order_that_they_are_asked_for(images: list[Path], make_features: MakeFeatures) -> None:
    features = make_features()
    extract(images, features)
    forwards = loaded(features, images)
    np.testing.assert_array_equal(loaded(features, images[::-1]), forwards[::-1])
    np.testing.assert_array_equal(loaded(features, [images[2]] * 2), forwards[[2, 2]])


def test_the_order_of_the_files_changes_nothing(
    images: list[Path], make_features: MakeFeatures, tmp_path: Path
) -> None:
    found = []
    for order in (images, images[::-1]):
        with Store(tmp_path / f"store{len(found)}") as store:
            features = make_features(store=store)
            extract(order, features)
            found.append(loaded(features, images))
    np.testing.assert_array_equal(*found)


def test_features_can_be_kept_in_half_precision(images: list[Path], make_features: MakeFeatures) -> None:
    half, full = make_features(dtype="float16"), make_features()
    assert extract(images, full).computed == len(images)
    assert extract(images, half).computed == len(images)
    assert loaded(half, images).dtype == np.float16
    np.testing.assert_array_equal(loaded(half, images), loaded(full, images).astype(np.float16))


def test_a_feature_that_is_gone_is_an_error_that_says_what_to_do(
    images: list[Path], make_features: MakeFeatures, store: Store
) -> None:
    features = make_features()
    extract(images, features)
    store.prune(0)
    extract(images[2:], features)
    expected = (
        r"^2 features are gone from the store or damaged; run the same command again: they are computed again; if"
    )
    with pytest.raises(StoreError, match=expected):
        loaded(features, images)


def test_a_damaged_feature_is_computed_by_the_next_run(
    images: list[Path], make_features: MakeFeatures, store: Store
) -> None:
    features = make_features()
    extract(images, features)
    store._connection.execute(
        "UPDATE features SET data = zeroblob(12) WHERE key = ?", (features.key(digest(images[1]), PLAIN),)
    )
    with pytest.raises(StoreError, match=r"^1 features are gone from the store or damaged"):
        loaded(features, images)
    assert extract(images, features).computed == 1
    np.testing.assert_array_equal(loaded(features, images[1:2])[0], means(images[1], features.spec))


def test_progress_adds_up_to_the_number_of_files(
    images: list[Path], make_features: MakeFeatures, tmp_path: Path
) -> None:
    for _ in range(2):  # computed, then reused
        counts: list[int] = []
        extract([*images, tmp_path / "gone.png"], make_features(), (PLAIN, MIRRORED), counts.append)
        assert sum(counts) == len(images) + 1


def test_what_was_computed_is_written_at_the_end(
    images: list[Path], make_features: MakeFeatures, cache_dir: Path
) -> None:
    extract(images, make_features())
    with Store(cache_dir) as other:
        assert other.info().values == len(images)


def test_no_files_are_no_problem(make_features: MakeFeatures) -> None:
    result = extract([], make_features())
    assert (result.digests, result.unreadable, result.computed, result.reused) == ({}, {}, 0, 0)


@pytest.mark.parametrize("part", ["nothing", "digest", "view", "spec", "network", "engine", "dtype"])
def test_the_key_depends_on(part: str, make_features: MakeFeatures, channel_means: Any) -> None:
    features = make_features()
    changed = {
        "spec": make_features(spec=replace(features.spec, offset=0.0)),
        "network": make_features(network="others"),
        "engine": make_features(engine=channel_means("means-2-f32")),
        "dtype": make_features(dtype="float16"),
    }.get(part, make_features())
    key = changed.key("abc" if part == "digest" else "ab", MIRRORED if part == "view" else PLAIN)
    assert len(key) == 32
    assert (key == features.key("ab", PLAIN)) == (part == "nothing")


def test_a_key_is_the_same_on_every_machine(make_features: MakeFeatures) -> None:
    expected = "ab\n0.0000,0.0000,1.0000,1.0000;0;0\n8x8;bilinear;127.5;127.5;srgb\nmeans\nmeans-1-f32\nfloat32"
    assert make_features().key("ab", PLAIN) == hashlib.sha256(expected.encode()).digest()


def test_rendering_gives_every_file_in_order_or_the_reason(images: list[Path], tmp_path: Path) -> None:
    spec = ImageSpec(8, 8, interpolation="bilinear", offset=127.5, divisor=127.5)
    text = tmp_path / "text.png"
    text.write_text("no image")
    paths = [images[0], text, *images[1:], tmp_path / "gone.png"]
    counts: list[int] = []
    found = list(render_all(paths, spec, counts.append))
    assert [path for path, _ in found] == paths
    for path, rendered in found:
        if path in images:
            np.testing.assert_array_equal(rendered, spec.render(path.read_bytes())[0])
    assert str(found[1][1]).startswith("not an image in a format that is read here")
    assert found[-1][1] == "the file can't be read (No such file or directory)"
    assert sum(counts) == len(paths)
