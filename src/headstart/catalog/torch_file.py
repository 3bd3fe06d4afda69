"""Tensors out of a PyTorch weights file, without PyTorch and without running the file.

A ``.pth`` file is a pickle, and a pickle is a program: the ordinary unpickler calls whatever the file names. The
one here admits the four names that a plain ``state_dict`` needs, maps each of them to a harmless object of this
module, and refuses every other name before anything is called.

The layout read is the one that ``torch.save`` wrote until version 1.6 and that the published EfficientNet-Lite
weights have: five pickles (magic number, protocol, byte order and word sizes, the state dict, storage keys) and then,
for each key in order, the number of elements as a little-endian int64 followed by the elements.
"""

from __future__ import annotations

import io
import math
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from headstart.errors import WeightsError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
# What the unpickler and NumPy raise over bytes that make no sense.
_MISREADINGS = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    LookupError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
)
# A state dict of a few hundred tensors takes some ten thousand opcodes; nothing honest comes near this.
MAX_PICKLE_BYTES = 16 * 2**20


# What a pickle gets into its hands is a named tuple, not a dataclass: a pickle may write into the `__dict__` of any
# object that has one, and so change what the reader does with the next file.
class _Storage(NamedTuple):
    """A run of elements that the file holds further on: its key, element type and length."""

    key: str
    dtype: np.dtype[Any]
    length: int


class _Tensor(NamedTuple):
    """A view of a storage, still without its numbers; offset and stride count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _StorageType(NamedTuple):
    """Stands for ``torch.FloatStorage`` and its like; never called, only compared and looked up."""

    dtype: str


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> _Tensor:
    if not isinstance(storage, _Storage) or len(shape) != len(stride) or min((offset, *shape, *stride)) < 0:
        raise pickle.UnpicklingError("a tensor in it is not a plain block of numbers")
    return _Tensor(storage, offset, tuple(shape), tuple(stride))


_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): _StorageType("<f4"),
    ("torch", "LongStorage"): _StorageType("<i8"),
}


def read_torch_file(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a PyTorch state dict, by name.

    Args:
        path: a file in the layout that ``torch.save`` wrote before version 1.6.

    Returns:
        Name to array, float32 or int64, with the shapes that the file states.

    Raises:
        WeightsError: the file is cut short, has another layout, or names anything beyond what tensors need.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except _MISREADINGS as error:
        raise WeightsError(
            f"{path.name} is not a PyTorch weights file that can be read safely: {error}",
            mend="install the weights package again, or name another base with --base",
        ) from error


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    if _load(file) != MAGIC_NUMBER or _load(file) != PROTOCOL_VERSION:
        raise ValueError("it does not start with PyTorch's magic number and protocol")
    _load(file)  # byte order and word sizes of the machine that wrote it; the element types below are explicit
    state = _load(file)
    keys = _load(file)
    tensors = {name: value for name, value in dict(state).items() if isinstance(value, _Tensor)}
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    elements = {key: _read_storage(file, storages[key]) for key in keys}
    return {name: _place(tensor, elements[tensor.storage.key]) for name, tensor in tensors.items()}


def _load(file: BinaryIO) -> Any:
    """The next pickle of the file, through the unpickler that admits only what tensors need."""
    start = file.tell()
    head = io.BytesIO(file.read(MAX_PICKLE_BYTES))
    value = _TensorUnpickler(head).load()
    file.seek(start + head.tell())
    return value


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no weights need") from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _device, length, *_ = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise pickle.UnpicklingError("it refers to something that is not a storage of numbers")
        return _Storage(str(key), np.dtype(storage_type.dtype), int(length))


def _read_storage(file: BinaryIO, storage: _Storage) -> np.ndarray:
    length = int.from_bytes(file.read(8), "little")
    if length != storage.length:
        raise ValueError(f"storage {storage.key} has {length} elements where {storage.length} were announced")
    byte_size = length * storage.dtype.itemsize
    if byte_size > os.fstat(file.fileno()).st_size - file.tell():
        raise ValueError(f"it ends within storage {storage.key}")
    return np.frombuffer(file.read(byte_size), storage.dtype)


def _place(tensor: _Tensor, elements: np.ndarray) -> np.ndarray:
    last = tensor.offset + sum((length - 1) * step for length, step in zip(tensor.shape, tensor.stride, strict=True))
    # A stride of 0 would repeat one number for ever without reaching beyond any end.
    if last >= len(elements) or math.prod(tensor.shape) > len(elements):
        raise ValueError("a tensor reaches beyond the numbers that the file holds for it")
    byte_stride = [step * elements.itemsize for step in tensor.stride]
    view = np.lib.stride_tricks.as_strided(elements[tensor.offset :], tensor.shape, byte_stride, writeable=False)
    return np.array(view, order="C")
