"""How every test of the generators computes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    """Run as real runs do: deterministic; on one thread, which is the fastest for small images."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a Stable Diffusion with random weights."""
    from tests.generators.stable_diffusion.tiny import write_base

    return write_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(autouse=True)
def embedded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the tiny base in the place of mini-sd wherever lora-sd is tested: what it promises holds for any base."""
    if any(one in request.node.nodeid for one in ("lora-sd", "lora_sd", "stable_diffusion")):
        from cytobench.generators.stable_diffusion import base

        monkeypatch.setattr(base, "EMBEDDED", request.getfixturevalue("tiny_base"))
