"""Training an adapter: the denoising loss of its base on a few pictures, everything else frozen.

Ho et al. 2020 (the loss), Salimans & Ho 2022 (where the base predicts v), Hang et al. 2023 (min-SNR weights).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cytobench.errors import TrialFault, UsageFault
from cytobench.generators import arithmetic, schedule
from cytobench.generators.arithmetic import Precision
from cytobench.generators.fitting import Course, train
from cytobench.generators.stable_diffusion.latents import Moments, embedded
from cytobench.progress import Tick

LARGEST_GRADIENT = 1.0


class Lesson(NamedTuple):
    """What an adapter learns from."""

    moments: Moments
    """The pictures."""
    classes: Tensor
    """(N,) whose prompt describes each picture."""
    tokens: Tensor
    """(K, 77) the prompts."""
    identity: str
    """A hash of all that decides the outcome."""


class Manner(NamedTuple):
    """How it learns."""

    steps: int
    batch: int
    micro_batch: int
    """Pictures that go through the U-Net together; 0 for the whole batch."""
    learning_rate: float
    weight_decay: float
    warm: int
    """Steps over which the learning rate rises."""
    gamma: float | None
    """Where min-SNR weighting cuts; None weighs all noise levels alike."""
    checkpointing: bool
    """Compute the U-Net's activations again in the backward pass, for less memory."""
    text_encoder: bool
    """Whether the text encoder learns too."""
    precision: Precision


def tune(
    pipeline: Any,
    adapter: Mapping[str, nn.Parameter],
    lesson: Lesson,
    manner: Manner,
    *,
    seed: int,
    partial: Path,
    tick: Tick,
) -> None:
    """Train the adapter that a pipeline wears, resuming from what an earlier call left in ``partial``.

    Raises:
        UsageFault: The base predicts neither ε nor v.
        TrialFault: A loss is not a finite number, or the device has too little memory.
        Interrupted: ``tick`` raised it; the state is saved.
    """
    device: torch.device = pipeline.unet.device
    levels = signal_and_noise(pipeline.scheduler).to(device)  # (2, T)
    kind = prediction(pipeline.scheduler)
    optimizer = torch.optim.AdamW(
        list(adapter.values()), lr=manner.learning_rate, weight_decay=manner.weight_decay, fused=True
    )
    numbers = lesson.tokens.to(device)
    with torch.no_grad(), arithmetic.autocast(manner.precision, device):
        known = None if manner.text_encoder else embedded(pipeline.text_encoder, numbers)

    def told(classes: Tensor) -> Tensor:
        """Return the prompts' embeddings (B, 77, D), of each class once."""
        if known is not None:
            return known[classes]
        present, places = torch.unique(classes, return_inverse=True)
        return embedded(pipeline.text_encoder, numbers[present])[places]

    def loss_of(clean: Tensor, noise: Tensor, step: Tensor, classes: Tensor) -> Tensor:
        a, s = levels[:, step, None, None, None]  # each (B, 1, 1, 1)
        noised = a * clean + s * noise
        with arithmetic.autocast(manner.precision, device):
            guess = pipeline.unet(noised, step, encoder_hidden_states=told(classes), return_dict=False)[0].float()
        target = noise if kind == "epsilon" else schedule.velocity(clean, noise, a, s)
        errors: Tensor = weights(a, s, manner.gamma, kind) * (guess - target) ** 2
        return errors.mean(dim=(1, 2, 3))  # (B,)

    def learn(source: torch.Generator) -> Tensor:
        row = torch.randint(len(lesson.classes), (manner.batch,), generator=source)
        position = torch.randint(len(lesson.moments.mean), (manner.batch,), generator=source)
        clean = lesson.moments.drawn(position, row, source)
        noise = torch.randn(clean.shape, generator=source)
        step = schedule.stratified(manner.batch, levels.shape[1], source)
        batch = [one.to(device) for one in (clean, noise, step, lesson.classes[row])]
        optimizer.zero_grad()
        total = torch.zeros((), device=device)
        for some in zip(*(torch.split(one, manner.micro_batch or manner.batch) for one in batch), strict=True):
            loss = loss_of(*some).sum() / manner.batch
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        nn.utils.clip_grad_norm_(list(adapter.values()), LARGEST_GRADIENT)
        optimizer.step()
        return total

    course = Course({"adapter": nn.ParameterList(adapter.values())}, {"adapter": optimizer}, learn, lesson.identity)
    try:
        with _saving_memory(pipeline.unet, manner.checkpointing):
            train(course, steps=manner.steps, warm=manner.warm, seed=seed, partial=partial, tick=tick)
    except torch.OutOfMemoryError as error:
        raise TrialFault(
            f"{manner.micro_batch or manner.batch} pictures at once do not fit into the memory of the device",
            reason="memory",
            fix="--set generator.micro_batch=1, and --set generator.checkpointing=true",
        ) from error


def signal_and_noise(scheduler: Any) -> Tensor:
    """Return a_t and s_t of a base's own noise schedule, float32 (2, T)."""
    from diffusers import DDPMScheduler

    kept: Tensor = DDPMScheduler.from_config(scheduler.config).alphas_cumprod.double()
    return torch.stack([kept.sqrt(), (1 - kept).sqrt()]).float()


def prediction(scheduler: Any) -> str:
    """Return what a base's U-Net predicts: ``epsilon`` or ``v_prediction``."""
    kind = str(scheduler.config.prediction_type)
    if kind not in ("epsilon", "v_prediction"):
        raise UsageFault(f"this base model predicts {kind!r}", fix="choose one that predicts epsilon or v_prediction")
    return kind


def weights(a: Tensor, s: Tensor, gamma: float | None, kind: str) -> Tensor:
    """Return the weight of the squared error at signal a and noise s: ``min(SNR, γ) / SNR`` of an error in ε.

    Of an error in v it is that of :func:`cytobench.generators.schedule.weights`.
    """
    if kind == "v_prediction":
        return schedule.weights(s, gamma)
    if gamma is None:
        return torch.ones_like(s)
    return (gamma * s**2 / a**2).clamp(max=1.0)


@contextmanager
def _saving_memory(unet: Any, wanted: bool) -> Iterator[None]:
    """Compute a U-Net's activations twice instead of keeping them, for the duration of the block."""
    if not wanted:
        yield
        return
    unet.enable_gradient_checkpointing()
    try:
        yield
    finally:
        unet.disable_gradient_checkpointing()
