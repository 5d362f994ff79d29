"""How every test of the generators computes."""

from collections.abc import Iterator

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
