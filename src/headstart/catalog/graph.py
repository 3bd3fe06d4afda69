"""Networks of which only the graph is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_numbers() -> Iterator[None]:
    """Networks that are built within have weights without numbers, which take no memory.

    Keras notes each such weight, and gives all of them numbers when the next layer's output is worked out anywhere. It
    has no public way to forget them, so what it noted is put back.
    """
    import keras
    from keras.src.backend.common import global_state

    kept = global_state.get_global_attribute("uninitialized_variables")
    global_state.set_global_attribute("uninitialized_variables", None)
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute("uninitialized_variables", kept)
