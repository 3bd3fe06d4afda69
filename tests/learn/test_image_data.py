from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart as hs
from headstart.catalog.untrained import BASE
from headstart.errors import DataError, HeadstartWarning, UnknownNameError, UsageError
from headstart.learn.image_data import ImageData

pytestmark = pytest.mark.backends


@pytest.fixture
def photos(make_images: Callable[..., Path], tmp_path: Path) -> Path:
    return make_images(tmp_path / "photos", {"cat": 7, "dog": 6, "owl": 5}, size=40)


def data(photos: Path, **settings: Any) -> ImageData:
    return hs.image_data(photos, base="untrained", **({"batch_size": 8} | settings))


def model(*, frozen: bool = True) -> Any:
    import keras

    keras.utils.set_random_seed(1)
    base = BASE.build()
    base.trainable = not frozen
    layers = [base, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
    made = keras.Sequential(layers)
    made.compile(keras.optimizers.Adam(0.02), "categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return made


def test_a_folder_becomes_files_labels_and_the_spec_of_the_base(photos: Path) -> None:
    found = data(photos)
    assert (found.count, found.classes, found.spec) == (18, ("cat", "dog", "owl"), BASE.spec)
    assert [path.parent.name for path in found.files] == [found.classes[label] for label in found.labels]


def test_batches_hold_rendered_files_and_their_targets(photos: Path) -> None:
    found = data(photos)
    batches = list(found.batches())
    assert [len(batch.x) for batch in batches] == [8, 8, 2]
    expected = [BASE.spec.render(path.read_bytes())[0] for path in found.files]
    np.testing.assert_array_equal(np.concatenate([batch.x for batch in batches]), expected)
    np.testing.assert_array_equal(np.concatenate([batch.y for batch in batches]).argmax(axis=1), found.labels)  # type: ignore[misc]


def test_a_keras_dataset_holds_the_same(photos: Path) -> None:
    found = data(photos, one_hot=False)
    dataset = found.dataset()
    assert len(dataset) == 3
    for number, batch in enumerate(found.batches()):
        x, y = dataset[number]
        np.testing.assert_array_equal(x, batch.x)
        np.testing.assert_array_equal(y, batch.y)


def test_one_part_of_a_divided_folder_can_be_taken(make_images: Callable[..., Path], tmp_path: Path) -> None:
    for part, count in (("train", 5), ("test", 3)):
        make_images(tmp_path / "photos" / part, {"cat": count, "dog": count}, size=40)
    assert data(tmp_path / "photos", part="train").count == 10
    assert data(tmp_path / "photos").count == 16
    with pytest.raises(DataError, match="no images in a part 'validation'"):
        data(tmp_path / "photos", part="validation")


def test_fit_learns_what_it_learns_from_the_arrays(photos: Path, cache_dir: Path) -> None:
    found = data(photos)
    x = np.concatenate([batch.x for batch in found.batches()])
    settings = {"epochs": 3, "shuffle": False, "verbose": 0}
    files = hs.fit(model(), found, validation_data=found, store=cache_dir, **settings)
    arrays = model().fit(x, found.targets, batch_size=8, validation_data=(x, found.targets), **settings)
    for name, values in arrays.history.items():
        np.testing.assert_allclose(files.history[name], values, rtol=1e-3)
    assert (files.frozen_part.computed, files.frozen_part.reused) == (18, 18)


def test_files_whose_features_are_stored_are_not_computed_again(photos: Path, cache_dir: Path) -> None:
    first, second = (hs.fit(model(), data(photos), store=cache_dir, verbose=0).frozen_part for _ in range(2))
    assert (first.computed, second.computed, second.reused) == (18, 0, 18)


def test_views_are_renderings_of_the_preset(photos: Path, cache_dir: Path) -> None:
    first = hs.fit(model(), data(photos), views=3, store=cache_dir, verbose=0).frozen_part
    plain = hs.fit(model(), data(photos), store=cache_dir, verbose=0).frozen_part
    assert (first.computed, first.reused) == (54, 0)
    assert (plain.computed, plain.reused) == (0, 18)  # the plain view is one of the three


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_with_nothing_frozen_the_files_are_trained_on_plainly(photos: Path, cache_dir: Path) -> None:
    with pytest.warns(HeadstartWarning, match="stage0_conv is trained"):
        history = hs.fit(model(frozen=False), data(photos), epochs=2, store=cache_dir, verbose=0)
    assert history.frozen_part is None
    assert len(history.history["loss"]) == 2


def test_a_file_that_is_no_image_is_named(photos: Path, cache_dir: Path) -> None:
    (photos / "dog" / "broken.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"broken\.png can't be used: .*remove it"):
        hs.fit(model(), data(photos), store=cache_dir, verbose=0)


def test_unknown_names_and_folders_are_refused(photos: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'natural'"):
        data(photos, augment="naturel")
    with pytest.raises(UsageError, match="nowhere"):
        hs.image_data(photos / "nowhere", base="untrained")
