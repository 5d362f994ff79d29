"""Train a network on one source. Stopped anywhere and started again, it ends with the same bytes.

Every random draw has a seed of its own (order of an epoch, augmentation and dropout of a step), so that the checkpoint
needs nothing but the step's number, the weights and the optimiser's state.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from cytobench.classifiers.augment import augment
from cytobench.classifiers.course import Course
from cytobench.classifiers.network import Network
from cytobench.classifiers.optimizer import optimizer_of, rate_factor
from cytobench.classifiers.order import Rows, epoch_batches
from cytobench.classifiers.precision import Precision, computing, laid_out, place
from cytobench.classifiers.predict import logits
from cytobench.classifiers.selection import SELECTION, Scores, score
from cytobench.classifiers.training import Training
from cytobench.errors import DataFault, Interrupted, TrialFault
from cytobench.progress import Tick
from cytobench.seeds import seed_for

__all__ = ["Fitted", "Training", "fit"]

SMALLEST_PART = 2
"""Images that a part of a batch must hold; batch normalisation can't train on one."""

VALIDATION_BATCH = 64
"""Images per forward pass without gradients."""


class Fitted(NamedTuple):
    """How a training went."""

    history: list[dict[str, float]]
    """One entry per epoch; holds no clock times, so that it is the same however often the training was stopped."""
    best_epoch: int
    """The epoch whose weights were kept, counted from 0."""
    steps: int
    """Optimiser steps made."""
    selection: str
    """How that epoch was chosen."""
    parts: int
    """Into how many parts a batch had to be cut for want of memory."""


class _Job(NamedTuple):
    """What stays the same during a training."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    train_rows: Rows
    val_rows: Rows
    spec: Training
    precision: Precision
    seed: int
    device: torch.device
    tick: Tick


def fit(
    network: Network,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    train_rows: Rows,
    val_rows: Rows,
    *,
    spec: Training,
    precision: Precision,
    seed: int,
    device: torch.device,
    partial: Path,
    tick: Tick,
) -> Fitted:
    """Train a network and leave the best epoch's weights in it.

    Args:
        network: At its start, also when a training is resumed.
        images: All images (N, H, W, 3), in memory or a memory map.
        labels: Class of each, (N,), 0 … classes - 1.
        train_rows: What is trained on.
        val_rows: What the best epoch is chosen by.
        spec: How to train.
        precision: How to compute, as chosen once; a resumed training needs the same.
        seed: Of the trial.
        device: Where to compute.
        partial: Folder of the checkpoint.
        tick: Told every step; may raise Interrupted, upon which the state is saved.

    Raises:
        DataFault: Fewer than two training images, no validation image, or a label that is no class.
        TrialFault: The loss is not a number, or two images do not fit into the device's memory.
        Interrupted: A stop was asked for.
    """
    job = _Job(images, labels, train_rows, val_rows, spec, precision, seed, device, tick)
    _check(job, network.classes)
    place(network, precision, device)
    course = Course(network, optimizer_of(network, spec), partial)
    course.restore()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            while len(course.history) < spec.epochs and len(course.history) - course.best_epoch <= spec.patience:
                _epoch(course, job)
        except Interrupted:
            course.save()
            raise
    network.load_state_dict(course.best)
    return Fitted(course.history, course.best_epoch, course.step, SELECTION, course.parts)


def _check(job: _Job, classes: int) -> None:
    if len(job.train_rows) < 2 or len(job.val_rows) < 1:
        raise DataFault(
            f"{len(job.train_rows)} training and {len(job.val_rows)} validation images are too few",
            fix="give at least two for training and one for validation",
        )
    given = np.unique(job.labels[np.concatenate([job.train_rows, job.val_rows])])
    if given[0] < 0 or given[-1] >= classes:
        raise DataFault(f"labels run from {given[0]} to {given[-1]}, but the network names classes 0 to {classes - 1}")


def _epoch(course: Course, job: _Job) -> None:
    """Make the steps that the current epoch still lacks, then validate."""
    spec, epoch = job.spec, len(course.history)
    batches = epoch_batches(
        job.labels,
        job.train_rows,
        images=spec.epoch_images,
        batch=spec.batch,
        balanced=spec.balanced,
        seed=job.seed,
        epoch=epoch,
    )
    for rows in batches[course.step - epoch * len(batches) :]:
        factor = rate_factor(course.step, spec, steps_per_epoch=len(batches))
        for group in course.optimizer.param_groups:
            group["lr"] = spec.learning_rate * factor
        loss = _step(course, job, rows)
        course.step += 1
        course.loss_sum += loss
        job.tick(1, f"loss {loss:.3f}")
        course.save_now_and_then()
    course.close_epoch(_validate(course, job), steps=len(batches))


def _step(course: Course, job: _Job, rows: Rows) -> float:
    """Make one optimiser step and return its loss; cut the batch into parts when memory is short."""
    generator = torch.Generator().manual_seed(seed_for(job.seed, "augment", course.step))
    pixels = torch.from_numpy(job.images[rows]).to(job.device)  # (B, H, W, 3)
    images = augment(pixels, job.spec.augmentation, generator)  # (B, 3, H, W)
    labels = torch.from_numpy(job.labels[rows]).to(job.device)
    buffers = {name: buffer.clone() for name, buffer in course.network.named_buffers()}
    while True:
        try:
            loss = _gradients(course, job, images, labels)
            break
        except torch.OutOfMemoryError as error:
            course.parts *= 2
            if len(rows) // course.parts < SMALLEST_PART:
                raise TrialFault(
                    f"step {course.step}: {SMALLEST_PART} images of {job.images.shape[1]} px do not fit into memory",
                    reason="memory",
                    step=course.step,
                    fix="use a smaller backbone or image size",
                ) from error
            for name, buffer in course.network.named_buffers():
                buffer.copy_(buffers[name])  # the failed pass may have moved running means
            if job.device.type == "cuda":
                torch.cuda.empty_cache()
    if not math.isfinite(loss):
        raise TrialFault(
            f"step {course.step} (epoch {len(course.history)}): the loss is {loss}",
            step=course.step,
            fix="lower the learning rate, or use fp32",
        )
    course.optimizer.step()
    return loss


def _gradients(course: Course, job: _Job, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Fill the gradients of a batch's mean loss and return it."""
    torch.manual_seed(seed_for(job.seed, "step", course.step))  # dropout and stochastic depth
    course.network.train()
    course.optimizer.zero_grad(set_to_none=True)
    total = 0.0
    parts = min(course.parts, max(1, len(images) // SMALLEST_PART))
    for part, wanted in zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True):
        with computing(job.precision, job.device):
            said = course.network(laid_out(part, job.precision))
        summed = functional.cross_entropy(
            said.float(), wanted, reduction="sum", label_smoothing=job.spec.label_smoothing
        )
        loss = summed / len(images)
        torch.autograd.backward(loss)
        total += loss.item()
    return total


def _validate(course: Course, job: _Job) -> Scores:
    said = logits(
        course.network,
        job.images,
        job.val_rows,
        precision=job.precision,
        batch=VALIDATION_BATCH,
        device=job.device,
        tick=lambda _count, _note: job.tick(0, "validating"),
    )
    if not np.isfinite(said).all():
        raise TrialFault(
            f"after step {course.step} (epoch {len(course.history)}) the validation logits are not numbers",
            step=course.step,
            fix="lower the learning rate, or use fp32",
        )
    return score(said, job.labels[job.val_rows])
