"""Cross-entropy for integer labels with what Keras offers for one-hot labels alone: smoothing and focus."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable("headstart")
class SparseCategoricalLoss(keras.losses.Loss):
    """The categorical losses of Keras, for labels that are integers; saved with a model as any loss is.

    Args:
        focal: gamma of the focal loss (Lin et al. 2017, arXiv:1708.02002); None for plain cross-entropy.
        label_smoothing: share of the target that is spread over all classes, from 0 to below 1.
        from_logits: whether the model gives logits rather than probabilities.
        settings: `name`, `reduction` and `dtype`, as every Keras loss has them.
    """

    def __init__(
        self,
        focal: float | None = None,
        label_smoothing: float = 0.0,
        from_logits: bool = False,
        name: str = "sparse_categorical_loss",
        **settings: Any,
    ) -> None:
        super().__init__(name=name, **settings)
        self.focal = focal
        self.label_smoothing = label_smoothing
        self.from_logits = from_logits

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each image: labels of shape (batch,) or (batch, 1), predictions of shape (batch, classes)."""
        y_pred = keras.ops.convert_to_tensor(y_pred)
        labels = keras.ops.cast(keras.ops.reshape(y_true, keras.ops.shape(y_pred)[:-1]), "int32")
        targets = keras.ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype)
        settings = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing}
        if self.focal is None:
            return keras.losses.categorical_crossentropy(targets, y_pred, **settings)
        return keras.losses.categorical_focal_crossentropy(targets, y_pred, alpha=1.0, gamma=self.focal, **settings)

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()
        own = {"focal": self.focal, "label_smoothing": self.label_smoothing, "from_logits": self.from_logits}
        return config | own
