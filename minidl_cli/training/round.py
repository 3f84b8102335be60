"""What comes out of training one round."""

from dataclasses import dataclass, field
from typing import Any, Literal

from numpy.typing import NDArray


@dataclass(frozen=True)
class Round:
    """One trained round.

    Attributes:
        seed: its seed.
        status: whether it finished, perhaps early; diverged (its loss became infinite or NaN); or failed (the
            processes that trained it died).
        epochs: the number of epochs that it was trained for.
        weights: its parameters and buffers at the end, by name. (Not tensors: PyTorch hands those from process to
            process by way of open files, of which there can be too many.)
        best: those after the epoch with the best validation metric; None where there is no validation part.
        best_epoch: that epoch.
        metrics: `train_loss`, `test_accuracy` and so on, on whole sets, of the weights that the training ends with:
            the best ones with early stopping, the last otherwise; empty if it did not finish.
    """

    seed: int
    status: Literal["finished", "diverged", "failed"]
    epochs: int
    weights: dict[str, NDArray[Any]]
    best: dict[str, NDArray[Any]] | None = None
    best_epoch: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
