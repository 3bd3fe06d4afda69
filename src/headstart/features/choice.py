"""Which engine runs a prefix, and in which precision."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from headstart.errors import EngineError, UnknownNameError
from headstart.features.engine import Engine, KerasEngine, LazyEngine
from headstart.features.openvino import PRECISIONS, OpenVINOEngine, Precision, choose_precision, identity_of
from headstart.features.prefix import Prefix, converted
from headstart.features.store import Store

if TYPE_CHECKING:
    import keras

ENGINES = ("auto", "openvino", "keras")
# Of the norm of a frozen part's output: sound conversions differ by 1e-7 to 1e-5 of it.
TOLERANCE = 1e-3


def choose_engine(
    prefix: keras.Model,
    network: str,
    store: Store,
    sample: np.ndarray,
    engine: str,
    precision: str,
    say: Callable[[str], None],
) -> Engine:
    """The engine that was asked for, or the fast one where it can run the prefix.

    Args:
        prefix: the frozen part, whose input shape is fully known.
        network: its fingerprint.
        store: keeps the converted network.
        sample: the first few inputs.
        engine: "auto", "openvino" or "keras".
        precision: "f32", "bf16" or "auto"; the Keras engine always computes as the model does.
        say: told in words where something else is done than was asked for.

    Raises:
        UnknownNameError: an engine or a precision of another name.
        EngineError: OpenVINO was asked for by name and can't run the prefix.
    """
    for kind, name, offered in (("engine", engine, ENGINES), ("precision", precision, PRECISIONS)):
        if name not in offered:
            raise UnknownNameError(kind, name, offered)
    if engine == "keras" or (engine == "auto" and not _is_for_openvino(prefix)):
        return KerasEngine(prefix)
    try:
        path = converted(Prefix(network, lambda: prefix, lambda path: _check(path, prefix, sample[:1])), store.folder)
    except EngineError as error:
        if engine == "openvino":
            raise
        say(f"{error.problem}, so the frozen part runs in Keras, which is slower and just as right")
        return KerasEngine(prefix)
    chosen = choose_precision(path, sample)[0] if precision == "auto" else cast(Precision, precision)
    return LazyEngine(identity_of(chosen), lambda: _opened(path, chosen, threading.get_ident()))


@lru_cache(maxsize=1)
def _opened(path: Path, precision: Precision, thread: int) -> OpenVINOEngine:
    """The engine used last stays open: for the few images that are new to a second call, opening it takes longest.

    Args:
        path: of the network; its folder is named by what it computes.
        precision: of the arithmetic.
        thread: that asks; two streams at once would mix up each other's outputs.
    """
    return OpenVINOEngine(path, precision)


def _check(path: Path, prefix: keras.Model, sample: np.ndarray) -> None:
    """A converted network must say what the prefix says in training, which is what is stored.

    Raises:
        EngineError: it doesn't.
    """
    import keras

    expected = keras.ops.convert_to_numpy(prefix(sample, training=True))
    found = OpenVINOEngine(path).run(sample)
    error = float(np.linalg.norm(found - expected) / max(float(np.linalg.norm(expected)), 1e-12))
    if error > TOLERANCE:
        raise EngineError(f"OpenVINO's answer differs from that of Keras by {error:.1%}", "use engine='keras'")


def _is_for_openvino(prefix: keras.Model) -> bool:
    """OpenVINO is for float32 networks that take numbers; tokens and mixed precision are left to Keras."""
    tensors = (*prefix.inputs, *prefix.outputs)
    return all(tensor.dtype == "float32" for tensor in tensors)
