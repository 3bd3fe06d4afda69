"""The course of a fine-tuning: its epochs, the weights that did best, and the checkpoint that keeps it all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.learn.checkpoint import Arrays, Checkpoint, Saved
from headstart.learn.kinds import Kind

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Epoch:
    """A line of the training curve; the training loss of epoch 0, before any step, is None.

    Where classes are balanced, each counts alike in what is said of validation. With several labels an image, the
    accuracy is mean average precision; with a number, R².
    """

    epoch: int
    loss: float | None
    validation_loss: float
    validation_accuracy: float


class Course:
    """Remembers each epoch and the weights that did best on the validation part, and keeps it all in a checkpoint.

    Args:
        model: compiled; its optimizer's state is kept as well.
        top: the part of the model that is trained.
        kind: of task.
        labels: of the validation images, targets of that kind.
        weights: how much each of these counts, float, shape (images,); None for all alike.
        logits_shape: of their logits in all views, (views, images, classes).
        checkpoint: where everything is kept after each epoch; None to keep nothing.

    Attributes:
        start_logits: of the validation images in each view before any step.
        best: the weights of the best epoch.
        history: one entry an epoch, that before any step first.
        best_epoch: the one with the smallest validation loss.
    """

    def __init__(
        self,
        model: keras.Model,
        top: keras.Model,
        kind: Kind,
        labels: np.ndarray,
        weights: np.ndarray | None,
        logits_shape: tuple[int, ...],
        checkpoint: Checkpoint | None,
    ) -> None:
        self._top = top
        self._optimizer = model.optimizer
        self._optimizer.build(model.trainable_variables)  # so that there is something to restore
        self._kind = kind
        self._labels = labels
        self._weights = weights
        self._checkpoint = checkpoint
        self.start_logits = np.zeros(logits_shape, np.float32)
        self.best: list[np.ndarray] = []
        self.history: list[Epoch] = []
        self.best_epoch = -1

    @property
    def done(self) -> int:
        """Epochs that are finished."""
        return self.history[-1].epoch

    def start(self, in_views: np.ndarray, judged: Callable[[np.ndarray], np.ndarray]) -> None:
        """Epoch 0, from the logits of the validation part in each view; `judged` makes those of them that count."""
        self.start_logits = in_views
        self._judge(judged(in_views), 0, None)

    def see(self, logits: np.ndarray, epoch: int, loss: float) -> None:
        """An epoch that has just been finished, from the logits that count."""
        self._judge(logits, epoch, loss)
        if self._checkpoint:
            state = {"history": [asdict(found) for found in self.history], "best_epoch": self.best_epoch}
            self._checkpoint.save(Saved(state, self._arrays(self.best)))

    def resume(self) -> bool:
        """Put everything where the checkpoint has it; False where there is none."""
        if self._checkpoint is None:
            return False
        saved = self._checkpoint.load(self._arrays(self._top.get_weights()))
        if saved is None:
            return False
        self.history = [Epoch(**row) for row in saved.state["history"]]
        self.best_epoch = saved.state["best_epoch"]
        self.start_logits = saved.arrays["start_logits"]
        self.best = [saved.arrays[f"best/{number}"] for number in range(len(self._top.get_weights()))]
        for number, variable in enumerate(self._variables()):
            variable.assign(saved.arrays[f"variable/{number}"])
        self._checkpoint.say(f"Fine-tuning goes on after epoch {self.done}, where it was stopped.")
        return True

    def _judge(self, logits: np.ndarray, epoch: int, loss: float | None) -> None:
        goodness = self._kind.goodness(self._kind.predict(logits), self._labels, self._weights)
        found = Epoch(epoch, loss, self._kind.loss(logits, self._labels, self._weights), goodness)
        if not self.history or found.validation_loss < self.history[self.best_epoch].validation_loss:
            self.best_epoch, self.best = epoch, self._top.get_weights()
        self.history.append(found)

    def _arrays(self, best: list[np.ndarray]) -> Arrays:
        import keras

        variables = [keras.ops.convert_to_numpy(variable) for variable in self._variables()]
        groups = {"variable": variables, "best": best}
        named = {f"{group}/{number}": array for group, some in groups.items() for number, array in enumerate(some)}
        return named | {"start_logits": self.start_logits}

    def _variables(self) -> list[Any]:
        """Of the network, the states of its random generators among them, and of the optimizer."""
        return [*self._top.variables, *self._optimizer.variables]
