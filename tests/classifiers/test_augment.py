import math

import pytest
import torch
import torchvision.transforms.functional as reference
from pydantic import ValidationError

from cytobench.classifiers.augment import (
    Augmentation,
    Draw,
    apply,
    augment,
    blur,
    colour_matrices,
    draw,
    gather,
    gaussians,
    plain,
)

EVERYTHING = Augmentation()
NOTHING = Augmentation.none()


def _images(count: int = 4, side: int = 24) -> torch.Tensor:
    """Return smooth coloured images (B, H, W, 3) in which every place differs."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    return (smooth * 255).round().byte().permute(0, 2, 3, 1).contiguous()


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _factors(**given: float) -> Draw:
    values = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0} | given
    return Draw(None, None, *(torch.full((4,), value) for value in values.values()))


def _turned(x: torch.Tensor, degrees: float, *, scale: float = 1.0, flip: tuple[float, float] = (1, 1)) -> torch.Tensor:
    angle = math.radians(degrees)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return gather(x, (torch.tensor(flip)[:, None] * turn * scale).expand(len(x), 2, 2))


def test_nothing_is_plain() -> None:
    images = _images()
    assert torch.equal(augment(images, NOTHING, _generator()), plain(images))


def test_parameters_that_change_nothing_give_the_plain_image() -> None:
    images = _images()
    one = torch.ones(4)
    identity = Draw(torch.eye(2).expand(4, 2, 2), torch.zeros(4), one, one, one, torch.zeros(4))
    torch.testing.assert_close(apply(images, identity), plain(images), rtol=0, atol=1e-5)


def test_plain_is_torchvisions_conversion() -> None:
    images = _images(1)
    assert torch.equal(plain(images)[0], reference.to_tensor(images[0].numpy()))


def test_every_image_of_a_batch_has_its_own_draw() -> None:
    same = _images(1).expand(16, -1, -1, -1)
    for single in (
        {"rotation": 180},
        {"crop": (0.5, 1.0)},
        {"blur": (0.5, 2.0)},
        {"brightness": 0.3},
        {"contrast": 0.3},
        {"saturation": 0.3},
        {"hue": 0.3},
    ):
        spec = NOTHING.model_copy(update=single)
        results = augment(same, spec, _generator())
        different = (results[:, None] - results[None]).abs().amax((2, 3, 4)) > 1e-5
        assert int(different.sum()) == 16 * 15, single


def test_flips_come_as_often_as_asked() -> None:
    same = _images(1).expand(400, -1, -1, -1)
    spec = NOTHING.model_copy(update={"horizontal_flip": 0.25})
    results = augment(same, spec, _generator())
    flipped = torch.isclose(results, plain(same).flip(-1), atol=1e-4).all(-1).all(-1).all(-1)
    untouched = torch.isclose(results, plain(same), atol=1e-4).all(-1).all(-1).all(-1)
    assert bool((flipped ^ untouched).all())
    assert 70 <= int(flipped.sum()) <= 130


def test_both_flips_are_drawn_apart() -> None:
    given = draw(400, NOTHING.model_copy(update={"horizontal_flip": 0.5, "vertical_flip": 0.5}), _generator())
    assert given.affine is not None
    kinds = (given.affine[:, 0, 0] < 0).long() + 2 * (given.affine[:, 1, 1] < 0)
    assert all(70 <= count <= 130 for count in torch.bincount(kinds, minlength=4).tolist())


def test_the_generator_decides_and_the_global_state_does_not() -> None:
    images = _images()
    one = augment(images, EVERYTHING, _generator(3))
    torch.manual_seed(99)
    assert torch.equal(one, augment(images, EVERYTHING, _generator(3)))
    assert not torch.equal(one, augment(images, EVERYTHING, _generator(4)))


def test_an_image_does_not_depend_on_its_neighbours_pixels() -> None:
    images = _images()
    other = images.clone()
    other[1:] = 255 - other[1:]
    one, two = (augment(batch, EVERYTHING, _generator(3)) for batch in (images, other))
    torch.testing.assert_close(one[0], two[0])


def test_values_stay_in_range_and_shape_is_planar() -> None:
    images = torch.randint(0, 256, (8, 20, 20, 3), dtype=torch.uint8, generator=_generator())
    strong = EVERYTHING.model_copy(update={"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.5})
    result = augment(images, strong, _generator())
    assert result.shape == (8, 3, 20, 20)
    assert result.dtype == torch.float32
    assert 0 <= float(result.min()) <= float(result.max()) <= 1
    assert float(result.min()) == 0.0, "the clamp is reached"


def test_flips_and_quarter_turns_are_exact() -> None:
    x = plain(_images())
    torch.testing.assert_close(_turned(x, 0, flip=(-1, 1)), reference.hflip(x), rtol=0, atol=1e-5)
    torch.testing.assert_close(_turned(x, 0, flip=(1, -1)), reference.vflip(x), rtol=0, atol=1e-5)
    torch.testing.assert_close(_turned(x, 90), torch.rot90(x, 1, (2, 3)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("degrees", [17.0, -33.0])
def test_rotation_is_torchvisions_away_from_the_corners(degrees: float) -> None:
    x = plain(_images(side=40))
    expected = reference.rotate(x, degrees, interpolation=reference.InterpolationMode.BILINEAR)
    rows, columns = torch.meshgrid(torch.arange(40) - 19.5, torch.arange(40) - 19.5, indexing="ij")
    inside = rows**2 + columns**2 < 18**2
    torch.testing.assert_close(_turned(x, degrees)[..., inside], expected[..., inside], rtol=0, atol=2e-4)


def test_corners_are_filled_from_the_image() -> None:
    x = torch.full((1, 3, 20, 20), 0.7)
    torch.testing.assert_close(_turned(x, 45), x)


def test_rotation_of_an_oblong_image_does_not_shear() -> None:
    x = plain(_images(side=40))[:, :, 8:32]
    expected = reference.rotate(x, 20, interpolation=reference.InterpolationMode.BILINEAR)
    torch.testing.assert_close(_turned(x, 20)[..., 8:16, 14:26], expected[..., 8:16, 14:26], rtol=0, atol=2e-4)


def test_crop_is_torchvisions_centre_crop_enlarged() -> None:
    x = plain(_images(side=32))
    expected = reference.resize(reference.center_crop(x, [16]), [32], antialias=False)
    torch.testing.assert_close(_turned(x, 0, scale=0.5)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], rtol=0, atol=1e-5)


def test_blur_is_torchvisions_with_each_images_own_sigma() -> None:
    x = plain(_images())
    sigma = torch.tensor([0.4, 0.7, 1.0, 1.4])  # the largest one decides that the kernel has 7 taps
    expected = torch.cat(
        [reference.gaussian_blur(one[None], [7, 7], [float(s)] * 2) for one, s in zip(x, sigma, strict=True)]
    )
    padded = torch.nn.functional.pad(x, (3, 3, 3, 3), mode="reflect")
    torch.testing.assert_close(blur(padded, gaussians(sigma, limit=24)), expected, rtol=0, atol=1e-6)
    given = Draw(None, sigma, None, sigma, sigma, sigma)
    torch.testing.assert_close(apply(_images(), given), expected, rtol=0, atol=1e-6)


def test_the_kernel_leaves_away_only_taps_under_two_percent_of_its_centre() -> None:
    for sigma in (0.3, 0.7, 1.0, 1.4, 3.0):
        taps = gaussians(torch.tensor([sigma, 0.0]), limit=100)
        assert math.exp(-0.5 * (taps.shape[1] / sigma) ** 2) < 0.02
        torch.testing.assert_close(taps[:, 0] + 2 * taps[:, 1:].sum(1), torch.ones(2))
        assert taps[1].tolist() == [1.0] + [0.0] * (taps.shape[1] - 1)


def test_blur_wider_than_the_image_still_works() -> None:
    spec = NOTHING.model_copy(update={"blur": (10.0, 10.0)})
    assert augment(_images(side=6), spec, _generator()).shape == (4, 3, 6, 6)


def test_the_margin_of_a_gather_is_the_picture_beyond_the_crop() -> None:
    x = plain(_images(side=32))
    half = torch.eye(2).expand(4, 2, 2) * 0.5
    whole = gather(x, half, margin=4)
    torch.testing.assert_close(whole[..., 4:-4, 4:-4], gather(x, half), rtol=0, atol=1e-6)
    wider = gather(x, torch.eye(2).expand(4, 2, 2) * (0.5 * 40 / 32))
    assert whole.shape[-1] == 40
    torch.testing.assert_close(whole[..., 0, 0], wider[..., 0, 0], rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("name", "factor"), [("brightness", 0.6), ("contrast", 0.5), ("contrast", 1.2), ("saturation", 0.3)]
)
def test_colour_is_torchvisions(name: str, factor: float) -> None:
    images = (_images().float() * 0.6 + 40).byte()  # far from black and white, where torchvision clamps
    expected = getattr(reference, f"adjust_{name}")(plain(images), factor)
    torch.testing.assert_close(apply(images, _factors(**{name: factor})), expected, rtol=0, atol=1e-4)


def test_colours_together_are_torchvisions_one_after_the_other() -> None:
    images = (_images().float() * 0.4 + 70).byte()
    expected = reference.adjust_saturation(
        reference.adjust_contrast(reference.adjust_brightness(plain(images), 0.9), 0.8), 0.7
    )
    result = apply(images, _factors(brightness=0.9, contrast=0.8, saturation=0.7))
    torch.testing.assert_close(result, expected, rtol=0, atol=2e-4)


def _hues(*turns: float) -> torch.Tensor:
    return colour_matrices(torch.ones(len(turns)), torch.tensor(turns))


def test_hue_turns_colours_and_leaves_grey_and_luminance() -> None:
    matrices = _hues(0.0, 1.0, 1 / 3, -1 / 3)
    torch.testing.assert_close(matrices[:2], torch.eye(3).expand(2, 3, 3), rtol=0, atol=1e-6)
    torch.testing.assert_close(matrices @ torch.ones(3), torch.ones(4, 3), rtol=0, atol=1e-6)
    luma = torch.tensor([0.2989, 0.587, 0.114])
    torch.testing.assert_close(luma @ matrices, luma.expand(4, 3), rtol=0, atol=1e-6)
    torch.testing.assert_close(matrices[2] @ matrices[3], torch.eye(3), rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.matrix_power(matrices[2], 3), torch.eye(3), rtol=0, atol=1e-6)


@pytest.mark.parametrize("turn", [0.05, -0.05, 0.3])
def test_hue_turns_the_way_that_torchvision_does(turn: float) -> None:
    red = torch.tensor([0.6, 0.4, 0.4])
    expected = reference.adjust_hue(red[:, None, None], turn).flatten()
    result = _hues(turn)[0] @ red
    assert int(result.argmax()) == int(expected.argmax())
    assert int(result.argmin()) == int(expected.argmin())


def test_no_saturation_is_grey() -> None:
    result = apply(_images(), _factors(saturation=0.0))
    torch.testing.assert_close(result[:, 0], result[:, 2])


def test_draws_lie_in_their_ranges() -> None:
    spec = Augmentation(rotation=30, crop=(0.6, 0.8), blur=(0.5, 1.5), brightness=0.2, hue=0.1)
    given = draw(2000, spec, _generator())
    assert given.affine is not None
    assert given.sigma is not None
    assert given.brightness is not None
    side = torch.linalg.det(given.affine).abs().sqrt()
    assert 0.6 <= float(side.min()) < 0.61 < 0.79 < float(side.max()) <= 0.8
    assert 0.5 <= float(given.sigma.min()) < 0.51 < 1.49 < float(given.sigma.max()) <= 1.5
    assert 0.8 <= float(given.brightness.min()) < 0.81 < 1.19 < float(given.brightness.max()) <= 1.2
    assert -0.1 <= float(given.hue.min()) < -0.099 < 0.099 < float(given.hue.max()) <= 0.1
    cosine = (given.affine[:, 0, 0].abs() / side).clamp(max=1)
    assert 29 < float(torch.rad2deg(torch.acos(cosine)).max()) <= 30.01


def test_impossible_ranges_are_refused() -> None:
    for wrong in ({"crop": (0.9, 0.5)}, {"crop": (0.5, 1.5)}, {"blur": (-1.0, 1.0)}, {"hue": 0.7}, {"twist": 1}):
        with pytest.raises(ValidationError):
            Augmentation.model_validate(wrong)


def test_working_on_a_few_images_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = _images(7)
    given = draw(7, EVERYTHING, _generator())
    whole = apply(images, given)
    monkeypatch.setattr("cytobench.classifiers.augment.CACHED_FLOATS", 1)
    torch.testing.assert_close(apply(images, given), whole, rtol=0, atol=1e-6)
