"""What an HDF5 file may try with its reader. Sound files of both layouts are read in test_weights_file.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog.hdf5_file import read_hdf5
from headstart.catalog.layout import Layout
from headstart.errors import WeightsError

KERNEL = "layers/conv2d/vars/0"


@pytest.fixture
def weights(model: Any, tmp_path: Path, save_weights: Callable[..., Path]) -> Path:
    """A sound file in the layout of Keras 3, which a test may change."""
    return save_weights(model, tmp_path / "small.weights.h5")


@pytest.fixture
def change(weights: Path) -> Callable[[Callable[[Any], object]], None]:
    def apply(action: Callable[[Any], object]) -> None:
        import h5py

        with h5py.File(weights, "r+") as file:
            action(file)

    return apply


def refusal(path: Path, layout: Layout) -> str:
    with pytest.raises(WeightsError) as caught:
        read_hdf5(path, layout, "a.h5")
    return str(caught.value)


def external_link(file: Any) -> None:
    import h5py

    del file[KERNEL]
    file[KERNEL] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(file: Any) -> None:
    import h5py

    file["elsewhere"] = h5py.SoftLink("/layers")


def external_storage(file: Any) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (3, 3, 3, 4), "float32", external=[("/etc/passwd", 0, 432)])


def virtual(file: Any) -> None:
    import h5py

    del file[KERNEL]
    made = h5py.VirtualLayout((3, 3, 3, 4), "float32")
    made[...] = h5py.VirtualSource("/etc/passwd", "data", (3, 3, 3, 4))
    file.create_virtual_dataset(KERNEL, made)


def circle(file: Any) -> None:
    file["layers/again"] = file["layers"]


def named_type(file: Any) -> None:
    file["kind"] = np.dtype("float32")


def huge_attribute(file: Any) -> None:
    file.attrs.create("much", np.zeros(2**22 + 1, np.float64))


@pytest.mark.parametrize(
    ("action", "what"),
    [
        (external_link, "a link at '0'"),
        (soft_link, "a link at 'elsewhere'"),
        (external_storage, f"an array kept in another file at '/{KERNEL}'"),
        (virtual, f"a virtual data set at '/{KERNEL}'"),
        (circle, "a group in itself at 'again'"),
        (named_type, "something that is no array at '/kind'"),
    ],
)
def test_what_leads_out_of_the_file_is_refused(
    weights: Path, layout: Layout, change: Any, action: Callable[[Any], None], what: str
) -> None:
    change(action)
    assert refusal(weights, layout) == (
        f"a.h5 isn't opened: it holds {what}; get it from where it was published; Headstart doesn't open such files"
    )


def test_a_huge_attribute_is_refused(tmp_path: Path, layout: Layout) -> None:
    import h5py

    with h5py.File(tmp_path / "huge.h5", "w", libver="latest") as file:
        huge_attribute(file)
    assert "it holds a huge attribute 'much'" in refusal(tmp_path / "huge.h5", layout)


def test_groups_that_go_too_deep_are_refused(weights: Path, layout: Layout, change: Any) -> None:
    change(lambda file: file.create_group("/".join("abcdefgh" * 5)))
    assert "it holds a group in itself at " in refusal(weights, layout)


def test_a_filter_that_needs_a_plug_in_is_refused(weights: Path, layout: Layout, change: Any) -> None:
    def with_filter(file: Any) -> None:
        import h5py

        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((3, 3, 3, 4))
        properties.set_filter(32_015, h5py.h5z.FLAG_OPTIONAL, ())  # Zstandard, which h5py doesn't bring
        del file[KERNEL]
        space = h5py.h5s.create_simple((3, 3, 3, 4))
        h5py.h5d.create(file["layers/conv2d/vars"].id, b"0", h5py.h5t.IEEE_F32LE, space, properties)

    change(with_filter)
    assert f"it holds a filter that needs a plug-in at '/{KERNEL}'" in refusal(weights, layout)


def test_an_array_of_absurd_size_is_refused_before_it_is_read(weights: Path, layout: Layout, change: Any) -> None:
    def absurd(file: Any) -> None:
        del file[KERNEL]
        file.create_dataset(KERNEL, (10**6, 10**6), "float32", chunks=(100, 100))

    change(absurd)
    assert "the layer 'stem' needs weights of shape (3, 3, 3, 4); there is (1000000, 1000000)" in refusal(
        weights, layout
    )


def test_words_in_the_place_of_numbers_are_refused(weights: Path, layout: Layout, change: Any) -> None:
    def words(file: Any) -> None:
        del file[KERNEL]
        file[KERNEL] = np.full((3, 3, 3, 4), b"word")

    change(words)
    assert "it holds something that isn't numbers" in refusal(weights, layout)


def test_compressed_arrays_are_read(weights: Path, layout: Layout, change: Any, model: Any) -> None:
    kernel = np.asarray(model.get_layer("stem").kernel)

    def compress(file: Any) -> None:
        del file[KERNEL]
        file.create_dataset(KERNEL, data=kernel, compression="gzip", shuffle=True)

    change(compress)
    np.testing.assert_array_equal(read_hdf5(weights, layout, "a.h5")["stem/kernel"], kernel)


def test_hdf5_without_weights_is_told(tmp_path: Path, layout: Layout) -> None:
    import h5py

    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["measurements"] = np.zeros(3)
    assert refusal(tmp_path / "other.h5", layout) == (
        "a.h5 holds no weights in a layout of Keras: it has neither layer names nor layers; "
        "save them with model.save_weights('….weights.h5')"
    )


def test_legacy_names_that_lead_nowhere_are_told(tmp_path: Path, layout: Layout) -> None:
    import h5py

    with h5py.File(tmp_path / "legacy.h5", "w") as file:
        file.attrs["layer_names"] = [b"absent"]
    assert refusal(tmp_path / "legacy.h5", layout).startswith("a.h5 can't be read as HDF5 (")


def test_legacy_names_may_be_divided_among_attributes(
    model: Any, tmp_path: Path, layout: Layout, save_weights: Callable[..., Path]
) -> None:
    import h5py

    path = save_weights(model, tmp_path / "legacy.h5")
    expected = read_hdf5(path, layout, "a.h5")
    with h5py.File(path, "r+") as file:
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:3], names[3:]
    found = read_hdf5(path, layout, "a.h5")
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
