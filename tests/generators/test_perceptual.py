"""The perceptual distance, and the files that its network may come from."""

from pathlib import Path

import pytest
import torch

from cytobench.errors import EnvironmentFault, IntegrityFault
from cytobench.generators.perceptual import DEPTHS, Perceptual, find
from tests.generators.toy import write_squeezenet


def test_agrees_with_the_formula(tmp_path: Path) -> None:
    from torchvision.models import squeezenet1_0
    from torchvision.transforms.functional import normalize

    path = write_squeezenet(tmp_path / "weights.pth")
    theirs = squeezenet1_0(weights=None).eval()
    theirs.load_state_dict(torch.load(path, weights_only=True))
    one, other = torch.rand(2, 3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = torch.zeros(3)
    for depth in DEPTHS:
        a, b = (
            theirs.features[: depth + 1](normalize((x + 1) / 2, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
            for x in (one, other)
        )
        cosine = torch.nn.functional.cosine_similarity(a, b)
        blank = (a.norm(dim=1) == 0).float() + (b.norm(dim=1) == 0).float()
        expected += (2 - 2 * cosine - blank).mean((1, 2)).detach()
    torch.testing.assert_close(Perceptual(path)(one, other), expected, rtol=1e-4, atol=1e-5)


def test_an_image_is_at_no_distance_from_itself_and_gradients_reach_it(tmp_path: Path) -> None:
    distance = Perceptual(write_squeezenet(tmp_path / "weights.pth"))
    one = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    assert distance(one, one).tolist() == [0, 0]
    other = (one * 0.5).requires_grad_()
    distance(one, other).sum().backward()
    assert other.grad is not None
    assert bool(other.grad.abs().sum() > 0)
    assert not any(parameter.requires_grad for parameter in distance.parameters())


def test_the_global_source_is_left_alone(tmp_path: Path) -> None:
    path = write_squeezenet(tmp_path / "weights.pth")
    torch.manual_seed(0)
    expected = torch.rand(())
    torch.manual_seed(0)
    Perceptual(path)
    assert torch.equal(torch.rand(()), expected)


def test_missing_weights_say_where_they_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(EnvironmentFault, match=r"checkpoints/squeezenet1_0-.*\.pth") as caught:
        find("")
    assert caught.value.exit_code == 4
    assert "torchvision" in caught.value.fix
    (tmp_path / "checkpoints").mkdir()
    written = write_squeezenet(tmp_path / "checkpoints" / "squeezenet1_0-b66bff10.pth")
    assert find("") == written


@pytest.mark.parametrize("content", ["truncated", "other", "pickle"])
def test_refuses_what_is_no_such_network(content: str, tmp_path: Path) -> None:
    path = write_squeezenet(tmp_path / "weights.pth")
    if content == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    elif content == "other":
        torch.save({"features.0.weight": torch.zeros(1)}, path)
    else:
        torch.save({"features.0.weight": pytest.fail}, path)
    with pytest.raises(IntegrityFault, match="no state dict"):
        Perceptual(path)


def test_refuses_another_file_than_was_looked_up(tmp_path: Path) -> None:
    with pytest.raises(IntegrityFault, match="not the file that was looked up"):
        Perceptual(write_squeezenet(tmp_path / "weights.pth"), sha256="0" * 64)
