"""From noise to an image with a network that guesses the clean image.

All solvers are told the guess ``clean_at(x, step)``, x_0 in [−1, 1] for an image x at a step of the schedule.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from cytobench.errors import UsageFault
from cytobench.generators import schedule

CleanAt = Callable[[Tensor, int], Tensor]


def dpm_solver(noise: Tensor, clean_at: CleanAt, *, evaluations: int, noise_steps: int, spacing: float = 2) -> Tensor:
    """Return images by DPM-Solver++(2M) in few evaluations (Lu et al. 2022, algorithm 2), as diffusers implements it.

    Args:
        noise: Standard normal, the shape of the images.
        clean_at: The network's guess.
        evaluations: How often it is asked.
        noise_steps: T of the schedule.
        spacing: See :func:`spaced`.
    """
    # Its own module path: the package's front door costs seconds more.
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    solver = DPMSolverMultistepScheduler(
        num_train_timesteps=noise_steps,
        trained_betas=schedule.cosine_betas(noise_steps).numpy(),
        prediction_type="sample",  # the guess is x_0, clipped before it comes here
        algorithm_type="dpmsolver++",
        rescale_betas_zero_snr=True,
        final_sigmas_type="zero",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its np.array(tensor) under numpy 2; the values are right
        solver.set_timesteps(timesteps=spaced(evaluations, noise_steps, spacing))
    image = noise
    for step in solver.timesteps.tolist():
        image = solver.step(clean_at(image, step), step, image).prev_sample
    return image


def unipc(noise: Tensor, clean_at: CleanAt, *, evaluations: int, noise_steps: int, spacing: float = 2) -> Tensor:
    """Return images by UniPC of order 2, B₂ (Zhao et al. 2023), as diffusers implements it: each guess also corrects
    the step that led to it. Arguments as in :func:`dpm_solver`.
    """
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

    steps = spaced(evaluations, noise_steps, spacing)
    # It can't be told at which steps to ask, so it is shown a schedule of these steps alone.
    kept = schedule.signal_and_noise(noise_steps)[0][steps[::-1]] ** 2
    kept = kept.clamp(min=2**-24)  # what diffusers takes for no signal at all
    betas = 1 - kept / torch.cat([kept.new_ones(1), kept[:-1]])
    solver = UniPCMultistepScheduler(
        num_train_timesteps=len(steps),
        trained_betas=betas.numpy(),
        prediction_type="sample",
        timestep_spacing="trailing",
        final_sigmas_type="zero",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        solver.set_timesteps(len(steps))
    image = noise
    for step, place in zip(steps, solver.timesteps.tolist(), strict=True):
        image = solver.step(clean_at(image, step), place, image).prev_sample
    return image


def ancestral(
    noise: Tensor,
    clean_at: CleanAt,
    *,
    evaluations: int,
    noise_steps: int,
    spacing: float = 2,
    source: torch.Generator,
) -> Tensor:
    """Return images by drawing each less noisy one from its posterior (Ho et al. 2020, eq. 7), new noise at every step.

    Args:
        noise: Standard normal, the shape of the images.
        clean_at: The network's guess.
        evaluations: Steps taken; ``noise_steps`` takes every one.
        noise_steps: T of the schedule.
        spacing: See :func:`spaced`.
        source: Of the new noise, on the CPU.
    """
    a, s = schedule.signal_and_noise(noise_steps).tolist()
    steps = spaced(evaluations, noise_steps, spacing)
    image = noise
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        clean = clean_at(image, step)
        if following is None:
            return clean
        weight_x, weight_clean, spread = posterior(a[step], s[step], a[following], s[following])
        fresh = torch.randn(image.shape, generator=source).to(image.device)
        image = weight_x * image + weight_clean * clean + spread * fresh
    return image


def spaced(evaluations: int, noise_steps: int, spacing: float = 2) -> list[int]:
    """Return the steps at which the network is asked, from T − 1 down.

    Part i of n lies at ``(i / n) ** spacing`` of the schedule: 1 spaces them evenly, 2 is the quadratic spacing of
    Song et al. 2021 (appendix D.3), denser where there is less noise. With 20 evenly spaced steps, detail with a
    standard deviation of .05 (of a range of 2) keeps 48 % of it, with quadratic ones 100 %; a network that is not
    trained to its end, which takes its own mistakes for such detail, draws the better without.

    Raises:
        UsageFault: More evaluations than steps.
    """
    if evaluations > noise_steps:
        raise UsageFault(f"{noise_steps} noise steps can't be drawn in {evaluations} evaluations", fix="ask for fewer")
    steps: list[int] = []
    for left in range(evaluations - 1, -1, -1):  # how many come after this one, each at least a step lower
        wished = max(round((noise_steps - 1) * ((left + 1) / evaluations) ** spacing), left)
        steps.append(min(wished, steps[-1] - 1) if steps else wished)
    return steps


def posterior(a: float, s: float, a_next: float, s_next: float) -> tuple[float, float, float]:
    """Return the weights of x_t and x_0 in the mean of x at the next, less noisy step, and its standard deviation."""
    kept = a / a_next
    added = 1 - kept**2  # the variance that the step from the next to this one adds
    return kept * s_next**2 / s**2, a_next * added / s**2, s_next * added**0.5 / s
