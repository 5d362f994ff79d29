"""Where a training stands: all that has to survive a stop."""

import time
from pathlib import Path

import torch

from cytobench import checkpoint
from cytobench.classifiers.network import Network
from cytobench.classifiers.selection import Scores, is_better

CHECKPOINT = "training.safetensors"
SECONDS_BETWEEN_CHECKPOINTS = 20.0
CHECKPOINT_SHARE = 0.05
"""Share of the time that may go into checkpoints, so that large networks are saved less often."""

FACTS = ("step", "loss_sum", "parts", "history", "best_epoch")


class Course:
    """A training's weights, optimiser, position and history, in one file under ``partial``.

    Args:
        network: At its start.
        optimizer: Of its parameters.
        partial: Folder of the checkpoint.
    """

    def __init__(self, network: Network, optimizer: torch.optim.Optimizer, partial: Path) -> None:
        self.network, self.optimizer, self.path = network, optimizer, partial / CHECKPOINT
        self.step = 0
        self.loss_sum = 0.0  # over the steps of the epoch so far
        self.parts = 1
        self.history: list[dict[str, float]] = []
        self.best_epoch = -1
        self.best: dict[str, torch.Tensor] = {}
        self._saved, self._cost = time.monotonic(), 0.0

    def close_epoch(self, scores: Scores, *, steps: int) -> None:
        """Enter an epoch into the history and keep its weights if it is the best so far."""
        if is_better(scores, self._best_scores()):
            self.best_epoch = len(self.history)
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in self.network.state_dict().items()}
        entry = {"epoch": len(self.history), "train_loss": self.loss_sum / steps}
        self.history.append(entry | {f"val_{name}": value for name, value in scores._asdict().items()})
        self.loss_sum = 0.0

    def _best_scores(self) -> Scores | None:
        if self.best_epoch < 0:
            return None
        entry = self.history[self.best_epoch]
        return Scores(*(entry[f"val_{name}"] for name in Scores._fields))

    def save(self) -> None:
        """Write everything into one file."""
        began = time.monotonic()
        tensors = (
            checkpoint.nested("network", self.network.state_dict())
            | checkpoint.nested("optimizer", checkpoint.optimizer_tensors(self.optimizer))
            | checkpoint.nested("best", self.best)
        )
        checkpoint.save(self.path, tensors, {name: getattr(self, name) for name in FACTS})
        self._saved = time.monotonic()
        self._cost = self._saved - began

    def save_now_and_then(self) -> None:
        """Write everything when the last time is long enough ago."""
        if time.monotonic() - self._saved >= max(SECONDS_BETWEEN_CHECKPOINTS, self._cost / CHECKPOINT_SHARE):
            self.save()

    def restore(self) -> None:
        """Continue where an earlier process stopped, if one did."""
        if not self.path.exists():
            return
        tensors, facts = checkpoint.load(self.path)
        self.network.load_state_dict(checkpoint.under("network", tensors))
        checkpoint.restore_optimizer(self.optimizer, checkpoint.under("optimizer", tensors))
        for parameter, state in self.optimizer.state.items():
            for name, value in state.items():
                if value.shape == parameter.shape:  # a fused optimiser needs its state laid out like the parameter
                    state[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)
        self.best = checkpoint.under("best", tensors)
        for name in FACTS:
            setattr(self, name, facts[name])
