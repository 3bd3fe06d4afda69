from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog.layout import Layout, layout_of
from headstart.catalog.weights_file import read_weights
from headstart.errors import WeightsError

Same = Callable[[dict[str, np.ndarray], Any], bool]
Save = Callable[[Any, Path], Path]
# The last is what model.save writes; "whole" holds a configuration besides, which nobody follows.
NAMES = ["small.weights.h5", "legacy.h5", "legacy.hdf5", "whole.h5", "small.keras", "small.npz", "small.safetensors"]


class Trap:
    """What a pickle may do: leave a mark when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self._mark,))


@pytest.mark.parametrize("name", NAMES)
def test_every_format_gives_the_weights_by_path(
    model: Any, layout: Layout, tmp_path: Path, save_weights: Save, same_weights: Same, name: str
) -> None:
    assert same_weights(read_weights(save_weights(model, tmp_path / name), layout), model)


@pytest.mark.parametrize("name", NAMES)
def test_what_lies_above_the_network_is_left_alone(
    with_top: Any, layout: Layout, tmp_path: Path, save_weights: Save, name: str
) -> None:
    arrays = read_weights(save_weights(with_top, tmp_path / name), layout)
    expected = {weight.path: np.asarray(weight) for weight in with_top.weights}
    assert arrays.keys() == {slot.path for slot in layout.slots}
    for path, array in arrays.items():
        np.testing.assert_array_equal(array, expected[path])


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_another_shape_are_refused_with_the_first_layer(
    network: Any, layout: Layout, tmp_path: Path, save_weights: Save, name: str
) -> None:
    path = save_weights(network(channels=6), tmp_path / name)
    with pytest.raises(WeightsError) as caught:
        read_weights(path, layout)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "the layer 'stem' needs weights of shape (3, 3, 3, 4); there is (3, 3, 3, 6); " in message


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_a_smaller_network_are_refused_with_the_first_layer_that_is_missing(
    model: Any, tmp_path: Path, save_weights: Save, network: Any, name: str
) -> None:
    path = save_weights(model, tmp_path / name)
    with pytest.raises(
        WeightsError, match=r"the layer 'logits' needs weights of shape \(4, 5\) and \(5,\); there is nothing"
    ):
        read_weights(path, layout_of(lambda **options: network(classes=5)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["empty", "text", "half"])
def test_a_damaged_file_is_told(
    model: Any, layout: Layout, tmp_path: Path, save_weights: Save, name: str, damage: str
) -> None:
    path = save_weights(model, tmp_path / name)
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"no weights at all" * 50, "half": data[: len(data) // 2]}[damage])
    with pytest.raises(WeightsError, match=r"can't be read as .*; it is damaged or cut short; get it again"):
        read_weights(path, layout)


def test_numbers_of_another_precision_are_taken(model: Any, layout: Layout, tmp_path: Path) -> None:
    halves = {weight.path: np.asarray(weight).astype(np.float16) for weight in model.weights}
    np.savez(tmp_path / "half.npz", **halves)
    arrays = read_weights(tmp_path / "half.npz", layout)
    assert {array.dtype for path, array in arrays.items() if "count" not in path} == {np.dtype(np.float32)}


def test_a_file_of_another_kind_is_refused(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        read_weights(tmp_path / "weights.pth", layout)
    assert str(caught.value) == (
        f"{tmp_path / 'weights.pth'} isn't a weights file that is read here; give one that ends in "
        ".h5, .hdf5, .keras, .safetensors, .npz; in Keras, model.save_weights('base.weights.h5') writes one"
    )


def test_a_file_that_is_not_there_is_told(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"there is no weights file .*absent\.h5; check the path"):
        read_weights(tmp_path / "absent.h5", layout)


def test_a_keras_archive_is_read_without_its_configuration(
    model: Any, layout: Layout, tmp_path: Path, save_weights: Save, same_weights: Same
) -> None:
    saved = save_weights(model, tmp_path / "small.keras")
    with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(tmp_path / "bare.keras", "w") as bare:
        bare.writestr("model.weights.h5", archive.read("model.weights.h5"))
        bare.writestr("config.json", "a program that nobody runs")
    assert same_weights(read_weights(tmp_path / "bare.keras", layout), model)


def test_a_keras_archive_that_unpacks_to_more_than_the_network_needs_is_a_trap(layout: Layout, tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(80 * 2**20))
    assert path.stat().st_size < 10**6
    with pytest.raises(WeightsError) as caught:
        read_weights(path, layout)
    assert str(caught.value) == (
        f"{path} holds 83,886,080 bytes of weights; small needs {layout.byte_size:,}; "
        "these weights belong to another network, or the archive is a trap"
    )


def test_a_keras_archive_without_weights_is_told(layout: Layout, tmp_path: Path) -> None:
    path = tmp_path / "empty.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(WeightsError, match=r"There is no item named 'model\.weights\.h5' in the archive"):
        read_weights(path, layout)


def test_a_pickle_inside_npz_is_never_loaded(layout: Layout, tmp_path: Path) -> None:
    path, mark = tmp_path / "trap.npz", tmp_path / "mark"
    np.savez(path, **{"stem/kernel": np.array([Trap(mark)], dtype=object)})
    with pytest.raises(WeightsError, match="isn't a plain array of numbers"):
        read_weights(path, layout)
    assert not mark.exists()
    np.load(path, allow_pickle=True)["stem/kernel"]
    assert mark.exists(), "the trap is none"


def test_an_npz_that_announces_a_huge_array_is_refused_before_memory_is_taken(layout: Layout, tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)})
    path = tmp_path / "huge.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("stem/kernel.npy", header.getvalue())
    with pytest.raises(WeightsError, match="isn't a plain array of numbers"):
        read_weights(path, layout)
