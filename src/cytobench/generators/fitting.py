"""The training loop that the generators share: it can be killed anywhere and gives the same bytes.

All randomness of step t (which images, their flips and turns, noise) comes from one source seeded by (seed, "fit", t),
so a checkpoint is every tensor and the number of steps done. It is one file; a kill can't pair new weights with an old
count.
"""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cytobench import checkpoint
from cytobench.errors import Interrupted, TrialFault, UsageFault
from cytobench.generators.contract import GeneratorConfig
from cytobench.generators.sampling import to_canvas
from cytobench.progress import RESUMED, Tick
from cytobench.seeds import seed_for
from cytobench.store import digest

SECONDS_BETWEEN_SAVES = 20.0
STEPS_BETWEEN_LOOKS = 10
"""How often the losses are looked at: a look makes the processor wait for a GPU."""

T = TypeVar("T")


class Learner(NamedTuple):
    """What is trained on pictures, and one step of it."""

    modules: Mapping[str, nn.Module]
    """All networks, averaged ones too: their tensors are the checkpoint."""
    optimizers: Mapping[str, torch.optim.Optimizer]
    """Their learning rates are the peaks."""
    learn: Callable[[Tensor, Tensor, torch.Generator], Tensor]
    """Do one step on images (B, 3, S, S) in [−1, 1] and labels (B,), drawing from the source; return the bare loss."""


class Course(NamedTuple):
    """What is trained, and one step of it that knows its own data."""

    modules: Mapping[str, nn.Module]
    """What changes: their tensors are the checkpoint."""
    optimizers: Mapping[str, torch.optim.Optimizer]
    """Their learning rates are the peaks."""
    step: Callable[[torch.Generator], Tensor]
    """Do one step, drawing all that is random from the source; return the bare loss."""
    identity: str
    """A hash of all that decides the outcome: a checkpoint of another course is never taken for this one's."""


def fit(
    learner: Learner,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    config: GeneratorConfig,
    side: int,
    seed: int,
    partial: Path,
    tick: Tick,
    device: torch.device,
) -> None:
    """Train on pictures, resuming from what an earlier call with the same arguments left in ``partial``.

    Args:
        learner: Freshly initialised networks and optimisers.
        images: Real images (N, H, W, 3).
        labels: Their classes (N,).
        config: Steps, batch and the warm-up.
        side: Side of the canvas that the networks work on, pixels.
        seed: Names all randomness.
        partial: Folder of the checkpoint; it need not exist.
        tick: Told of every step.
        device: Where it computes.

    Raises:
        UsageFault: There are no images.
        TrialFault: A loss is not a finite number.
        Interrupted: ``tick`` raised it; the state is saved.
    """
    if len(images) == 0:
        raise UsageFault("a generator can't be fitted to no images", fix="check the split: a class has no images here")
    pixels, classes = to_canvas(images, side).to(device), torch.from_numpy(labels).to(device)

    def step(source: torch.Generator) -> Tensor:
        chosen = torch.randint(len(pixels), (config.batch,), generator=source).to(device)
        batch = turned(pixels[chosen], torch.randint(8, (config.batch,), generator=source).to(device))
        return learner.learn(batch.float() / 127.5 - 1, classes[chosen], source)

    course = Course(learner.modules, learner.optimizers, step, identity(images, labels, config=config, seed=seed))
    train(course, steps=config.steps, warm=warm_up(config.steps), seed=seed, partial=partial, tick=tick)


def train(course: Course, *, steps: int, warm: int, seed: int, partial: Path, tick: Tick) -> None:
    """Take all steps of a course, resuming from what an earlier call left in ``partial``.

    Args:
        course: Freshly initialised.
        steps: How many there are.
        warm: Over how many of them the learning rates rise.
        seed: Names all randomness.
        partial: Folder of the checkpoint; it need not exist.
        tick: Told of every step.

    Raises:
        TrialFault: A loss is not a finite number.
        Interrupted: ``tick`` raised it; the state is saved.
    """
    path = partial / "fit.safetensors"
    done = _restore(course, path)
    if done:
        tick(done, RESUMED)
    peaks = {name: optimizer.param_groups[0]["lr"] for name, optimizer in course.optimizers.items()}
    losses: list[Tensor] = []
    note, saved = "", time.monotonic()

    def save(count: int) -> None:
        _refuse_nonsense(losses, count)
        checkpoint.save(path, _tensors(course), {"steps": count, "identity": course.identity})

    for module in course.modules.values():
        module.train()
    for step in range(done, steps):
        for name, optimizer in course.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = peaks[name] * rate(step, steps, warm)
        losses.append(course.step(torch.Generator().manual_seed(seed_for(seed, "fit", step))))
        if len(losses) == STEPS_BETWEEN_LOOKS or step + 1 == steps:
            note = f"loss {_refuse_nonsense(losses, step + 1):.3f}"
            losses.clear()
        try:
            tick(1, note)
        except Interrupted:
            save(step + 1)
            raise
        if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
            save(step + 1)
            saved = time.monotonic()
    for module in course.modules.values():
        module.eval()


def warm_up(steps: int) -> int:
    """Return over how many steps the learning rate rises where nobody says it: 5 % of all."""
    return max(1, steps // 20)


def rate(step: int, steps: int, warm: int) -> float:
    """Return the learning rate as a part of its peak: linear over the first steps, then half a cosine down to 0."""
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def turned(images: Tensor, codes: Tensor) -> Tensor:
    """Return images (B, C, S, S) flipped and turned, each by its code 0 … 7: the square's symmetries.

    A blood cell has no up or down, so its label stays. Bit 1 flips left and right, bit 2 up and down, bit 4 transposes.
    """
    mirrors: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda image: image.flip(-1),
        lambda image: image.flip(-2),
        lambda image: image.transpose(-1, -2),
    )
    for number, mirror in enumerate(mirrors):
        images = torch.where((codes & 2**number).bool()[:, None, None, None], mirror(images), images)
    return images


def seeded(seed: int, build: Callable[[], T]) -> T:
    """Return what ``build`` builds with initial weights drawn from a seed, leaving the global source alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "init"))
        return build()


@torch.no_grad()
def follow(average: nn.Module, live: nn.Module, decay: float) -> None:
    """Move the average of a network's tensors by one step: ``average ← decay · average + (1 − decay) · live``."""
    ours, theirs = average.state_dict(), live.state_dict()
    names = [name for name, tensor in ours.items() if tensor.is_floating_point()]
    torch._foreach_lerp_([ours[name] for name in names], [theirs[name] for name in names], 1 - decay)
    for name in ours.keys() - names:
        ours[name].copy_(theirs[name])


def identity(images: NDArray[np.uint8], labels: NDArray[np.int64], *, config: GeneratorConfig, seed: int) -> str:
    """Return a hash of all that decides a fit, from its images to its seed."""
    data = hashlib.sha256(np.ascontiguousarray(images).tobytes() + np.ascontiguousarray(labels).tobytes()).hexdigest()
    return digest([config.model_dump(mode="json"), seed, list(images.shape), data])


def _tensors(course: Course) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, module in course.modules.items():
        tensors |= checkpoint.nested(f"module/{name}", module.state_dict())
    for name, optimizer in course.optimizers.items():
        tensors |= checkpoint.nested(f"optimizer/{name}", checkpoint.optimizer_tensors(optimizer))
    return tensors


def _restore(course: Course, path: Path) -> int:
    """Put back the state of a checkpoint and return the steps done; 0 when there is none of this very course."""
    if not path.exists():
        return 0
    found = checkpoint.load(path)
    if found.facts.get("identity") != course.identity:
        return 0
    for name, module in course.modules.items():
        module.load_state_dict(checkpoint.under(f"module/{name}", found.tensors))
    for name, optimizer in course.optimizers.items():
        checkpoint.restore_optimizer(optimizer, checkpoint.under(f"optimizer/{name}", found.tensors))
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                if value.shape == parameter.shape:  # the strides of its parameter, so that rounding is the same as well
                    state[key] = torch.empty_like(parameter).copy_(value)
    return int(found.facts["steps"])


def _refuse_nonsense(losses: list[Tensor], steps: int) -> float:
    """Return the last of the losses of the steps just done; ``steps`` counts all done so far."""
    if not losses:
        return 0.0
    values = torch.stack(losses).tolist()
    for value, step in zip(values, range(steps - len(values), steps), strict=True):
        if not math.isfinite(value):
            raise TrialFault(
                f"the loss of step {step} is {value}", step=step, fix="lower learning_rate, or set precision to float32"
            )
    return float(values[-1])
