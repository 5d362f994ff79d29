from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from cytobench.datasets.near import neighbours
from cytobench.datasets.near.neighbours import Precision, nearest
from cytobench.errors import UsageFault

Rows = NDArray[np.float32]


def unit(count: int, width: int, seed: int = 0) -> Rows:
    rows = np.random.default_rng(seed).normal(size=(count, width))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def brute(queries: Rows, index: Rows, k: int, exclude_self: bool = False) -> NDArray[np.int64]:
    """Rank everything in float64, lower index first among equals."""
    scores = np.array([[np.dot(q.astype(np.float64), x.astype(np.float64)) for x in index] for q in queries])
    if exclude_self:
        np.fill_diagonal(scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("precision", ["auto", "bfloat16", "float32"])
@pytest.mark.parametrize(("count", "k"), [(3, 2), (70, 1), (333, 5), (333, 200)])
def test_the_answer_is_that_of_float64(count: int, k: int, precision: Precision) -> None:
    index, queries = unit(count, 24), unit(9, 24, seed=1)
    found = nearest(queries, index, k, precision=precision)
    assert np.array_equal(found.indices, brute(queries, index, k))
    exact = np.take_along_axis(queries.astype(np.float64) @ index.astype(np.float64).T, found.indices, axis=1)
    assert found.similarity == pytest.approx(exact, abs=1e-6)
    assert found.similarity.dtype == np.float32
    assert found.indices.dtype == np.int64


def test_several_blocks_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    index = unit(500, 16)
    for name, value in (("QUERIES", 64), ("SIDE", 128), ("PAIRS", 7), ("CELLS", 1000)):
        monkeypatch.setattr(neighbours, name, value)
    found = nearest(index, index, 4, exclude_self=True)
    assert np.array_equal(found.indices, brute(index, index, 4, exclude_self=True))


def test_turned_queries_leave_out_the_row_of_their_own_number() -> None:
    """Excluding a row's own number does not mean that queries and index are the same rows."""
    index, queries = unit(300, 16), unit(300, 16, seed=1)
    found = nearest(queries, index, 3, exclude_self=True)
    assert np.array_equal(found.indices, brute(queries, index, 3, exclude_self=True))


def nearly_equal() -> tuple[Rows, Rows]:
    """Return 2,000 rows that differ by less than bfloat16 can tell, with a known order, and the query."""
    rows = np.zeros((2000, 8), np.float32)
    rows[:, 0] = 0.7 + np.random.default_rng(0).permutation(2000) * 1e-7
    rows[:, 1] = 0.5
    return np.eye(1, 8, dtype=np.float32), rows


def test_rows_that_bfloat16_confuses_are_searched_again() -> None:
    query, rows = nearly_equal()
    found = nearest(query, rows, 3, precision="bfloat16")
    assert found.indices.tolist() == [np.argsort(-rows[:, 0])[:3].tolist()]
    assert found.searched_again == 1


def test_an_easy_query_is_not_searched_again() -> None:
    index = unit(600, 64)
    queries = index[:50] + 0.05 * unit(50, 64, seed=2)
    found = nearest(queries, index, 1, precision="bfloat16")
    assert found.indices[:, 0].tolist() == list(range(50))
    assert (found.precision, found.searched_again) == ("bfloat16", 0)


def test_identical_rows_come_in_the_order_of_the_index() -> None:
    index = np.repeat(unit(5, 32), 60, axis=0)[np.random.default_rng(0).permutation(300)]
    found = nearest(index, index, 7, exclude_self=True)
    assert np.array_equal(found.indices, brute(index, index, 7, exclude_self=True))
    assert all((np.diff(row) > 0).all() for row in found.indices)


def test_thousands_of_identical_rows_do_not_cost_all_pairs() -> None:
    index = np.repeat(unit(1, 4), 3000, axis=0)
    found = nearest(index, index, 2, exclude_self=True)
    assert found.indices[:3].tolist() == [[1, 2], [0, 2], [0, 1]]
    assert (found.indices[3:] == [0, 1]).all()


def test_zero_rows_and_rows_of_any_length_are_ranked_too() -> None:
    index = unit(100, 16) * np.linspace(0, 1e6, 100, dtype=np.float32)[:, None]
    queries = np.concatenate([np.zeros((1, 16), np.float32), unit(3, 16, seed=3)])
    assert np.array_equal(nearest(queries, index, 3).indices, brute(queries, index, 3))


def test_rows_that_float32_can_not_tell_apart_tie() -> None:
    rows = np.tile(np.array([1, 0], np.float32), (60, 1))
    rows[50, 1] = 1e-10  # better in float64 alone
    assert nearest(np.array([[0.6, 0.8]], np.float32), rows, 1).indices.tolist() == [[0]]


@pytest.mark.parametrize(("rows", "k", "exclude_self", "columns"), [(4, 9, False, 4), (4, 9, True, 3), (1, 1, True, 0)])
def test_a_small_index_gives_as_many_columns_as_it_can(rows: int, k: int, exclude_self: bool, columns: int) -> None:
    index = unit(rows, 8)
    found = nearest(index, index, k, exclude_self=exclude_self)
    assert found.indices.shape == found.similarity.shape == (rows, columns)
    assert all(row not in found.indices[row] for row in range(rows)) or not exclude_self


def test_no_query_is_no_fault() -> None:
    assert nearest(unit(3, 8)[:0], unit(3, 8), 2).indices.shape == (0, 2)


def test_similarity_falls_along_a_row() -> None:
    found = nearest(unit(5, 8), unit(90, 8, seed=4), 20)
    assert all((a >= b).all() for a, b in pairwise(found.similarity.T))


@pytest.mark.parametrize(
    ("queries", "index", "k", "exclude_self", "why"),
    [
        (unit(2, 8), unit(2, 9), 1, False, "do not fit"),
        (unit(2, 8), unit(2, 8)[0], 1, False, "do not fit"),
        (unit(2, 8), unit(2, 8), 0, False, "at least 1"),
        (unit(2, 8), unit(3, 8), 1, True, "rows of the index"),
        (unit(2, 8), np.full((2, 8), np.nan, np.float32), 1, False, "row 0 of the index"),
    ],
)
def test_wrong_use_is_refused(queries: Rows, index: Rows, k: int, exclude_self: bool, why: str) -> None:
    with pytest.raises(UsageFault, match=why):
        nearest(queries, index, k, exclude_self=exclude_self)
