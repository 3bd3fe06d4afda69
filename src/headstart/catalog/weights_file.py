"""A network's weights out of a file of any format that is read here, told apart by the file's name.

A model file is a program as soon as its configuration is followed. Here only numbers are read from any of them: of a
``.keras`` archive the weights alone, of ``.npz`` only plain arrays, and never a pickle.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from headstart.catalog.base import Arrays
from headstart.catalog.hdf5_file import read_hdf5
from headstart.catalog.layout import LayerLayout, Layout, check_shapes
from headstart.errors import WeightsError

_KERAS_WEIGHTS = "model.weights.h5"
# A trained model's archive holds its optimizer's numbers too, two or three for each weight, some as float64.
MOST_TIMES_THE_WEIGHTS = 10
MOST_BYTES_MORE = 64 * 2**20
_DAMAGED = "it is damaged or cut short; get it again"


def read_weights(path: Path, layout: Layout) -> Arrays:
    """The weights of a network, by the paths of its variables, each in its variable's dtype.

    Args:
        path: a file ending in .h5 or .hdf5 (both of Keras' layouts), .keras, .safetensors or .npz. The last two hold
            arrays named by variable path, such as "conv1/kernel".
        layout: what the network needs.

    Raises:
        WeightsError: the file is of another kind, damaged, suspect, or belongs to another network.
    """
    readers: dict[str, Callable[[Path, Layout], Arrays]] = {
        ".h5": _read_hdf5,
        ".hdf5": _read_hdf5,
        ".keras": _read_keras,
        ".safetensors": _read_safetensors,
        ".npz": _read_npz,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise WeightsError(
            f"{path} isn't a weights file that is read here",
            f"give one that ends in {', '.join(readers)}; in Keras, model.save_weights('base.weights.h5') writes one",
        )
    if not path.is_file():
        raise WeightsError(f"there is no weights file {path}", "check the path")
    return reader(path, layout)


def _read_hdf5(path: Path, layout: Layout) -> Arrays:
    return read_hdf5(path, layout, str(path))


def _read_keras(path: Path, layout: Layout) -> Arrays:
    """Copied out of the archive first, since HDF5 jumps about in its file; never more than the network can need."""
    limit = MOST_TIMES_THE_WEIGHTS * layout.byte_size + MOST_BYTES_MORE
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryFile() as copy:
            size = archive.getinfo(_KERAS_WEIGHTS).file_size
            if size > limit:
                raise WeightsError(
                    f"{path} holds {size:,} bytes of weights; {layout.network} needs {layout.byte_size:,}",
                    "these weights belong to another network, or the archive is a trap",
                )
            with archive.open(_KERAS_WEIGHTS) as member:
                _copy(member, copy, limit)
            return read_hdf5(copy, layout, str(path))
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, RuntimeError) as error:
        raise WeightsError(f"{path} can't be read as a Keras archive with weights ({error})", _DAMAGED) from error


def _copy(member: Any, copy: Any, limit: int) -> None:
    shutil.copyfileobj(member, copy, 2**20)
    if copy.tell() > limit:  # zipfile stops at the size that the archive states; this doesn't rely on it
        raise WeightsError("the archive holds more than it states", "get it from where it was published")
    copy.seek(0)


def _read_safetensors(path: Path, layout: Layout) -> Arrays:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no dict
            return _read_named(path, layout, shapes, file.get_tensor)
    except (SafetensorError, TypeError) as error:
        raise WeightsError(f"{path} can't be read as safetensors ({error})", _DAMAGED) from error


def _read_npz(path: Path, layout: Layout) -> Arrays:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            shapes = {name: _npy_shape(archive, info) for name, info in entries.items()}

            def load(name: str) -> np.ndarray:
                with archive.open(entries[name]) as member:
                    array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
                return array

            return _read_named(path, layout, shapes, load)
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise WeightsError(f"{path} can't be read as npz ({error})", _DAMAGED) from error


def _npy_shape(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[int, ...]:
    """The shape of an array in the archive, if it is made of numbers and as long as its header says."""
    with archive.open(info) as member:
        shape, dtype, header = _npy_header(member)
    if dtype.kind not in "fiu" or header + math.prod(shape) * dtype.itemsize != info.file_size:
        raise ValueError(f"{info.filename} isn't a plain array of numbers")
    return shape


def _npy_header(member: Any) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, dtype, and the bytes that the header takes."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    return shape, dtype, member.tell()


def _read_named(
    path: Path, layout: Layout, shapes: dict[str, tuple[int, ...]], load: Callable[[str], np.ndarray]
) -> Arrays:
    for layer in layout.layers:
        check_shapes(layer, _found(layer, shapes), str(path))
    return {slot.path: load(slot.path).astype(slot.dtype, copy=False) for slot in layout.slots}


def _found(layer: LayerLayout, shapes: dict[str, tuple[int, ...]]) -> list[tuple[int, ...]]:
    return [shapes[slot.path] for slot in layer.slots if slot.path in shapes]
