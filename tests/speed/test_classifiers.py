"""Speed of the classifiers' room against what people do today; run by hand: `pytest tests/speed -s`.

Nothing here passes or fails by a time. Each benchmark prints medians and their ratio, measured in one process in turns.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from cytobench.classifiers.augment import Augmentation, augment
from cytobench.classifiers.backbone import resolve
from cytobench.classifiers.network import build, load_into, save
from cytobench.classifiers.precision import SETTINGS, Precision, _step, choose, place
from cytobench.classifiers.predict import logits
from cytobench.classifiers.weights import NONE

CPU = torch.device("cpu")
BATCH = 32


def _medians(works: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Return the median seconds of each piece of work; they take turns, so that a busy machine slows all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            if turn:  # the first turn warms up
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _folder(root: Path, *, side: int, suffix: str, count: int) -> Path:
    rng = np.random.default_rng(0)
    for k in range(count):
        coarse = rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
        path = root / f"class{k % 5}" / f"{k}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(path, quality=90)
    return root


@pytest.mark.parametrize(("given", "side", "suffix"), [(64, 64, ".png"), (360, 224, ".jpg")])
def test_augmented_images_per_second(given: int, side: int, suffix: str, tmp_path: Path) -> None:
    """ImageFolder, PIL and a DataLoader with a worker per core, against the fused augmentation of decoded images."""
    usual = transforms.Compose(
        [
            transforms.Resize(side),
            transforms.RandomRotation(180, interpolation=transforms.InterpolationMode.BILINEAR),
            transforms.RandomHorizontalFlip(),
            transforms.RandomVerticalFlip(),
            transforms.RandomResizedCrop(side, scale=(0.64, 1.0), ratio=(1, 1)),
            transforms.GaussianBlur(5, (0.01, 0.7)),
            transforms.ColorJitter(0.15, 0.15, 0.15, 0.02),
            transforms.ToTensor(),
        ]
    )
    count = 512 if side == 64 else 128
    files = ImageFolder(str(_folder(tmp_path, side=given, suffix=suffix, count=count)), usual)
    workers = torch.get_num_threads()
    loader = DataLoader(files, batch_size=BATCH, shuffle=True, num_workers=workers, persistent_workers=True)
    pixels = np.stack([np.asarray(Image.open(path).resize((side, side))) for path, _ in files.samples])
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)

    def ours() -> None:
        for rows in rng.permutation(count).reshape(-1, BATCH):
            augment(torch.from_numpy(pixels[rows]), Augmentation(), generator)

    seconds = _medians({"usual": lambda: [None for _ in loader], "ours": ours}, rounds=5)
    network = place(build(resolve("resnet18"), classes=5, image_size=side, weights=NONE, seed=0), _BF16, CPU).train()
    images = torch.rand(BATCH, 3, side, side)
    step = _medians({"step": lambda: _step(network, images, _BF16)}, rounds=3)["step"]
    print(  # noqa: T201
        f"\naugmentation {given} -> {side} px, {workers} threads or workers: usual {count / seconds['usual']:.0f}/s, "
        f"ours {count / seconds['ours']:.0f}/s, ratio {seconds['usual'] / seconds['ours']:.1f}; "
        f"ours is {100 * seconds['ours'] / count * BATCH / step:.1f} % of a bf16 ResNet-18 step"
    )


_BF16 = Precision(*SETTINGS["bf16 channels_last"], {})


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenetv3", "vit_small", "swin"])
@pytest.mark.parametrize("side", [64, 224])
def test_training_step(name: str, side: int) -> None:
    """A plain fp32 step against the setting that was chosen for this backbone."""
    count = BATCH if side == 64 else 8
    network = build(resolve(name), classes=5, image_size=side, weights=NONE, seed=0)
    began = time.perf_counter()
    chosen = choose(network, image_size=side, batch=count, device=CPU, asked="auto")
    choosing = time.perf_counter() - began
    images = torch.rand(count, 3, side, side)

    def step(precision: Precision) -> None:
        _step(place(network, precision, CPU).train(), images, precision)

    plain = Precision(False, False, {})
    seconds = _medians({"plain": lambda: step(plain), "chosen": lambda: step(chosen)}, rounds=3)
    print(  # noqa: T201
        f"\n{name} {side} px, batch {count}: plain {1e3 * seconds['plain'] / count:.1f} ms per image, "
        f"chosen ({min(chosen.measured, key=lambda one: chosen.measured[one])}) "
        f"{1e3 * seconds['chosen'] / count:.1f}, ratio {seconds['plain'] / seconds['chosen']:.2f}; "
        f"choosing took {choosing:.1f} s"
    )


def test_one_pass_over_six_targets(tmp_path: Path) -> None:
    """A model built, loaded and fed from files for each target, against one pass over targets decoded once."""
    count, targets = 128, [f"target{number}" for number in range(6)]
    folders = [_folder(tmp_path / name, side=128, suffix=".jpg", count=count) for name in targets]
    network = build(resolve("resnet18"), classes=5, image_size=64, weights=NONE, seed=0)
    save(network, tmp_path / "weights.safetensors")
    usual = transforms.Compose([transforms.Resize(64), transforms.ToTensor()])
    paths = [path for folder in folders for path, _ in ImageFolder(str(folder)).samples]
    pixels = np.stack([np.asarray(Image.open(path).resize((64, 64))) for path in paths])
    chosen = choose(network, image_size=64, batch=BATCH, device=CPU, asked="auto")

    def reloading() -> None:
        for folder in folders:
            fresh = build(resolve("resnet18"), classes=5, image_size=64, weights=NONE, seed=0)
            load_into(fresh, tmp_path / "weights.safetensors")
            loader = DataLoader(ImageFolder(str(folder), usual), batch_size=BATCH, num_workers=torch.get_num_threads())
            with torch.inference_mode():
                for images, _ in loader:
                    fresh.eval()(images)

    def ours() -> None:
        logits(network, pixels, range(len(pixels)), precision=chosen, batch=64, device=CPU)

    seconds = _medians({"reloading": reloading, "ours": ours}, rounds=3)
    total = count * len(targets)
    print(  # noqa: T201
        f"\nsix targets: reloaded and decoded per target {total / seconds['reloading']:.0f}/s, "
        f"one pass {total / seconds['ours']:.0f}/s, ratio {seconds['reloading'] / seconds['ours']:.1f}"
    )
