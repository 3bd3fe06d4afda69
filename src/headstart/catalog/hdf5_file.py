"""Weights out of an HDF5 file, in either layout that Keras has written: the legacy one, and that of Keras 3.

An HDF5 file can lead its reader to other files (external links, external storage, virtual data sets), have it load
plug-ins (filters), and announce arrays of any size. The whole tree is looked through first, and a file that has any of
these is refused; an array is read only after its shape has been found to be the one that the network needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from headstart.catalog.base import Arrays
from headstart.catalog.layout import LayerLayout, Layout, check_shapes
from headstart.errors import WeightsError

if TYPE_CHECKING:
    import h5py

# The largest networks have some ten thousand weights, a few groups deep.
MAX_OBJECTS = 200_000
MAX_DEPTH = 32
MAX_ATTRIBUTE_BYTES = 2**24
# Deflate, shuffle, Fletcher-32 and h5py's own LZF; any other filter is a plug-in, and so a program.
_KNOWN_FILTERS = {1, 2, 3, 32_000}
_MEND = "get it from where it was published; Headstart doesn't open such files"
# What HDF5 and h5py raise over bytes that make no sense.
_MISREADINGS = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, UnicodeError, MemoryError)


def read_hdf5(file: Path | BinaryIO, layout: Layout, name: str) -> Arrays:
    """The weights of a network, by the paths of its variables.

    Args:
        file: a path, or an open file that can seek.
        layout: what the network needs. Layers of the file above those, such as a top, are left alone.
        name: of the file, for messages.

    Raises:
        WeightsError: it is no HDF5 file, is damaged, holds what it mustn't, or belongs to another network.
    """
    with _opened(file, name) as root:
        _check_tree(root, name)
        if "layer_names" in root.attrs or "layer_names0" in root.attrs:
            return _read_legacy(root, layout, name)
        if "model_weights" in root:  # a whole model in the legacy format; only its weights are looked at
            return _read_legacy(root["model_weights"], layout, name)
        if "layers" in root:
            return _read_keras3(root["layers"], layout, name)
        raise WeightsError(
            f"{name} holds no weights in a layout of Keras: it has neither layer names nor layers",
            "save them with model.save_weights('….weights.h5')",
        )


@contextmanager
def _opened(file: Path | BinaryIO, name: str) -> Iterator[h5py.File]:
    import h5py

    try:
        with h5py.File(file, "r") as root:
            yield root
    except WeightsError:
        raise
    except _MISREADINGS as error:
        raise WeightsError(
            f"{name} can't be read as HDF5 ({error})", "it is damaged or cut short; get it again"
        ) from error


def _check_tree(root: Any, name: str) -> None:
    """Look at every object once, and refuse what leads out of the file."""
    import h5py

    seen: set[int] = set()
    waiting: list[tuple[Any, int]] = [(root, 0)]
    while waiting:
        group, depth = waiting.pop()
        _check_attributes(group, name)
        for key in group:
            _refuse_if(not isinstance(group.get(key, getlink=True), h5py.HardLink), name, f"a link at {key!r}")
            child = group[key]
            address = h5py.h5o.get_info(child.id).addr
            _refuse_if(address in seen or depth >= MAX_DEPTH, name, f"a group in itself at {key!r}")
            seen.add(address)
            _refuse_if(len(seen) > MAX_OBJECTS, name, f"more than {MAX_OBJECTS:,} objects")
            if isinstance(child, h5py.Group):
                waiting.append((child, depth + 1))
            else:
                _check_dataset(child, name)


def _check_dataset(dataset: Any, name: str) -> None:
    import h5py

    where = dataset.name if hasattr(dataset, "name") else "?"
    _refuse_if(not isinstance(dataset, h5py.Dataset), name, f"something that is no array at {where!r}")
    _refuse_if(dataset.is_virtual, name, f"a virtual data set at {where!r}")
    _refuse_if(bool(dataset.external), name, f"an array kept in another file at {where!r}")
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
    _refuse_if(not filters <= _KNOWN_FILTERS, name, f"a filter that needs a plug-in at {where!r}")
    _check_attributes(dataset, name)


def _check_attributes(thing: Any, name: str) -> None:
    for key in thing.attrs:
        attribute = thing.attrs.get_id(key)
        size = attribute.dtype.itemsize * int(np.prod(attribute.shape, dtype=np.float64))
        _refuse_if(size > MAX_ATTRIBUTE_BYTES, name, f"a huge attribute {key!r}")


def _refuse_if(condition: bool, name: str, what: str) -> None:
    if condition:
        raise WeightsError(f"{name} isn't opened: it holds {what}", _MEND)


def _read_legacy(group: Any, layout: Layout, name: str) -> Arrays:
    """By order, as Keras does: what a layer is called differs between versions, its place doesn't."""
    saved = [(layer, _names(group[layer], "weight_names")) for layer in _names(group, "layer_names")]
    saved = [(layer, weights) for layer, weights in saved if weights]
    arrays: Arrays = {}
    for number, layer in enumerate(layout.layers):
        if number == len(saved):
            check_shapes(layer, (), f"{name}, which has {len(saved)} layers with weights")
        place, weights = saved[number]
        arrays |= _read_layer([group[place][weight] for weight in weights], layer, f"{name}, layer {place!r}")
    return arrays


def _names(group: Any, attribute: str) -> list[str]:
    """A list of names; HDF5 limits an attribute's size, so that Keras divides long lists into numbered ones."""
    if attribute in group.attrs:
        parts = [group.attrs[attribute]]
    else:
        parts = []
        while f"{attribute}{len(parts)}" in group.attrs:
            parts.append(group.attrs[f"{attribute}{len(parts)}"])
    return [name.decode() if isinstance(name, bytes) else str(name) for part in parts for name in part]


def _read_keras3(group: Any, layout: Layout, name: str) -> Arrays:
    arrays: Arrays = {}
    for layer in layout.layers:
        place = f"{layer.group}/vars"
        variables = group.get(place, {})
        datasets = [variables[str(number)] for number in range(len(variables))]
        arrays |= _read_layer(datasets, layer, f"{name}, layers/{layer.group}")
    return arrays


def _read_layer(datasets: list[Any], layer: LayerLayout, where: str) -> Arrays:
    check_shapes(layer, [tuple(dataset.shape) for dataset in datasets], where)
    for dataset in datasets:
        _refuse_if(dataset.dtype.kind not in "fiu", where, "something that isn't numbers")
    pairs = zip(layer.slots, datasets, strict=True)
    return {slot.path: np.asarray(dataset[()]).astype(slot.dtype, copy=False) for slot, dataset in pairs}
