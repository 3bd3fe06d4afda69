"""Loading a saved Keras model that uses classes of ours."""

from __future__ import annotations


def custom_objects() -> dict[str, type]:
    """What `keras.models.load_model(path, custom_objects=hs.custom_objects())` needs to know.

    Only a model saved while it was compiled needs it, with several learning rates or with a loss of `make_loss` that
    Keras lacks; `load_model(path, compile=False)` does without.

    Returns:
        The classes by the names that they are saved under. Keras knows them from then on.
    """
    import keras

    from headstart.learn.rates import saved_classes
    from headstart.learn.sparse_loss import SparseCategoricalLoss

    return saved_classes() | {keras.saving.get_registered_name(SparseCategoricalLoss): SparseCategoricalLoss}
