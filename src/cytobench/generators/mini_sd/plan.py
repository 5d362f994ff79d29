"""How long each stage of making ``mini-sd`` is trained, and where its outcome is kept."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from torch import nn

from cytobench import checkpoint
from cytobench.errors import UsageFault
from cytobench.generators.contract import GeneratorConfig
from cytobench.progress import Tick, say, task
from cytobench.store import read_json, write_json

PACE_STEPS = 6
"""Steps on which the pace is measured, after a first one."""


class Stage(NamedTuple):
    """One training."""

    name: str
    learning_rate: float
    steps: int
    minutes: float | None
    """As many steps as fit in; None for ``steps``."""


N = TypeVar("N", bound=nn.Module)
Train = Callable[[GeneratorConfig, Path, Tick], N]
"""Train and return the outcome, given the configuration, the checkpoint's folder, and whom to tell of every step."""


class Plan:
    """The stages of one folder; steps once chosen stay, so that going on gives the same weights.

    Args:
        folder: Where everything is kept.
        seed: Of everything.
        images: How many are learnt from.
        batch: Images per step.

    Raises:
        UsageFault: The folder was begun with another seed, number of images or batch.
    """

    def __init__(self, folder: Path, *, seed: int, images: int, batch: int) -> None:
        self.folder, self.batch = folder, batch
        self._path = folder / "plan.json"
        asked = {"seed": seed, "images": images, "batch": batch}
        self._plan: dict[str, Any] = read_json(self._path) if self._path.exists() else {**asked, "stages": {}}
        begun = {name: self._plan[name] for name in asked}
        if begun != asked:
            raise UsageFault(
                f"{folder} was begun with {begun}; asked for {asked}",
                fix="choose the same, or another folder with --out",
            )

    def run(self, stage: Stage, train: Train[N], outcome: N) -> N:
        """Return ``outcome`` with the stage's weights, which are trained unless they are kept.

        Raises:
            UsageFault: The stage was begun with another number of steps.
            TrialFault: The loss is not a number.
            Interrupted: A stop was asked for; the same command goes on.
        """
        kept = self.folder / f"{stage.name}.safetensors"
        steps = self._steps(stage, train)
        if not kept.exists():
            began = time.monotonic()
            with task(stage.name, steps) as work:
                trained = train(self._config(stage, steps), self.folder / stage.name, work.advance)
            checkpoint.save(kept, trained.state_dict(), {"minutes": round((time.monotonic() - began) / 60, 1)})
        outcome.load_state_dict(checkpoint.load(kept).tensors)
        return outcome.eval()

    def facts(self) -> dict[str, Any]:
        """Return every stage's steps."""
        return {f"{name}_steps": steps for name, steps in self._plan["stages"].items()}

    def minutes(self) -> dict[str, float]:
        """Return how long the last call to every finished stage took, minutes."""
        found = {name: self.folder / f"{name}.safetensors" for name in self._plan["stages"]}
        return {name: checkpoint.load(path).facts["minutes"] for name, path in found.items() if path.exists()}

    def _config(self, stage: Stage, steps: int) -> GeneratorConfig:
        return GeneratorConfig(steps=steps, batch=self.batch, learning_rate=stage.learning_rate, chunk=self.batch)

    def _steps(self, stage: Stage, train: Train[N]) -> int:
        begun: int | None = self._plan["stages"].get(stage.name)
        if begun is None:
            steps = stage.steps if stage.minutes is None else self._fitting(stage, train)
            self._plan["stages"][stage.name] = steps
            write_json(self._path, self._plan)
            return steps
        if stage.minutes is None and stage.steps != begun:
            raise UsageFault(
                f"{self.folder} was begun with {begun} steps of {stage.name}; asked for {stage.steps}",
                fix="ask for the same, or choose another folder with --out",
            )
        return begun

    def _fitting(self, stage: Stage, train: Train[N]) -> int:
        assert stage.minutes is not None  # the caller has seen to it
        times: list[float] = []
        place = self.folder / "pace"
        train(self._config(stage, PACE_STEPS + 1), place, lambda *_: times.append(time.monotonic()))
        shutil.rmtree(place, ignore_errors=True)
        steps = max(1, int(stage.minutes * 60 * PACE_STEPS / (times[-1] - times[0])))
        say(f"{stage.name}: {steps} steps fit into {stage.minutes:g} minutes")
        return steps
