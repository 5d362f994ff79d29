"""Exact nearest neighbours by inner product: proposed in bfloat16, proven or searched again, ranked in float32."""

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytobench.errors import UsageFault

if TYPE_CHECKING:
    import torch

QUERIES = 1024  # ranked and proven at once
SIDE, GROUP = 2048, 8  # of one block of scores, 8 MB in bfloat16, and of the groups in it
SPARE = 31  # groups that may hold a neighbour, beside as many as are asked for, before a query is searched again
PAIRS = 512  # ranked at once, so that they stay in the cache
CELLS = 4_000_000  # of one block of float64 scores, 32 MB
HALF_STEP = 2.0**-8  # relative rounding error of bfloat16
FLOAT32 = 2.0**-24  # the same of float32
Precision = Literal["auto", "bfloat16", "float32"]


class Neighbours(NamedTuple):
    """The nearest rows of an index, best first."""

    indices: NDArray[np.int64]
    """(M, k); of equally similar rows the lower index comes first. Fewer columns when the index has fewer rows."""
    similarity: NDArray[np.float32]
    """(M, k) inner products, summed in float32."""
    precision: str
    """Of the first pass: bfloat16, or float32 where the processor has no bfloat16 products."""
    searched_again: int
    """Queries whose first pass proved nothing, so that they were searched in float64."""


class _Rows(NamedTuple):
    """What is asked and what is searched, with the largest length of a searched row."""

    queries: "torch.Tensor"
    searched: "torch.Tensor"
    longest: float
    exclude_self: bool
    same: bool
    """Whether the rows are searched among themselves, so that each product serves both of its rows."""


def nearest(
    queries: NDArray[np.float32],
    index: NDArray[np.float32],
    k: int,
    *,
    exclude_self: bool = False,
    precision: Precision = "auto",
) -> Neighbours:
    """Find the k rows of an index that have the largest inner product with each query.

    The answer is the one of a float32 search of everything, whatever the precision of the first pass. By
    Cauchy-Schwarz, a row's score in that pass is off by at most ``|q-q'||x| + |q'||x-x'|``, where q' and x' are the
    rounded rows; whatever is nearer than that to the k-th is ranked in float32, and a query with too many of those is
    searched
    again.

    Args:
        queries: (M, D), usually of unit length.
        index: (N, D).
        k: How many to find.
        exclude_self: Query i is row i of the index and is not its own neighbour.
        precision: Of the first pass; ``auto`` takes bfloat16 where the processor multiplies it in hardware.

    Raises:
        UsageFault: Shapes that do not fit, k below 1, values that are not finite.
    """
    import torch

    _check(queries, index, k, exclude_self)
    found = min(k, len(index) - exclude_self)
    indices, similarity = np.zeros((len(queries), found), np.int64), np.zeros((len(queries), found), np.float32)
    chosen = _chosen(precision)
    if not found or not len(queries):
        return Neighbours(indices, similarity, chosen, 0)
    X = torch.from_numpy(np.ascontiguousarray(index, np.float32))
    Q = torch.from_numpy(np.ascontiguousarray(queries, np.float32))
    with torch.inference_mode():
        rows = _Rows(Q, X, float(torch.linalg.vector_norm(X, dim=1).max()), exclude_self, queries is index)
        proven = _first_pass(rows, found, getattr(torch, chosen), indices, similarity)
        again = np.flatnonzero(~proven)
        if len(again):
            _second_pass(rows, found, again, indices, similarity)
    return Neighbours(indices, similarity, chosen, len(again))


def _first_pass(
    rows: _Rows, k: int, dtype: "torch.dtype", indices: NDArray[np.int64], similarity: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Fill in what a pass in a low precision finds, and return for which queries that is proven.

    The k-th largest of the groups' largest scores is reached by k rows at least, so that only groups that come near it
    can hold one of the k best; these are ranked in float32.
    """
    import torch

    # float32 products may be computed in bfloat16 when the process allowed it
    rounds = dtype == torch.bfloat16 or torch.get_float32_matmul_precision() != "highest"
    low = torch.nn.functional.pad(rows.searched.to(dtype), (0, 0, 0, -len(rows.searched) % GROUP))
    off = float(_rounded_off(rows.searched).max()) if rounds else 0.0
    largest = _largest_of_groups(rows, low)  # (M, groups)
    groups = largest.shape[1]
    kept = min(k + SPARE, groups)
    proven = np.zeros(len(rows.queries), bool)
    for first in range(0, len(rows.queries), QUERIES):
        block = slice(first, first + QUERIES)
        q = rows.queries[block]
        score, group = largest[block].topk(kept, dim=1)  # best first
        threshold = score[:, k - 1].double() if k <= groups else torch.full((len(q),), -torch.inf, dtype=torch.float64)
        length = torch.linalg.vector_norm(q, dim=1).double()
        error = 8 * q.shape[1] * FLOAT32 * length * rows.longest  # of sums in float32, here and in the ranking
        if rounds:
            off_q = _rounded_off(q).double()
            error += off_q * rows.longest + (length + off_q) * off
            error += HALF_STEP * torch.maximum(score[:, 0].abs(), threshold.abs().nan_to_num(posinf=0.0))  # of scores
        threshold = threshold - 2 * (1.01 * error + 1e-30)
        hopeful = score >= threshold[:, None]  # from the left
        width = int(hopeful.sum(1).max())
        group, hopeful = group[:, :width], hopeful[:, :width]
        where = _members(group, len(low))  # (B, width * GROUP)
        own = torch.arange(first, first + len(q))[:, None] if rows.exclude_self else -1
        usable = hopeful.repeat_interleave(GROUP, dim=1) & (where < len(rows.searched)) & (where != own)
        row, place = usable.nonzero(as_tuple=True)
        value = torch.full(where.shape, -torch.inf)
        value[row, place] = _products(q, rows.searched, row, where[row, place])
        where, order = where.sort(dim=1)
        value, order = value.gather(1, order).sort(dim=1, descending=True, stable=True)
        indices[block], similarity[block] = where.gather(1, order)[:, :k].numpy(), value[:, :k].numpy()
        proven[block] = ((score[:, -1] < threshold) | (kept == groups)).numpy()
    return proven


def _largest_of_groups(rows: _Rows, low: "torch.Tensor") -> "torch.Tensor":
    """Return the largest score of each query in each group of GROUP rows, (M, groups), in the precision of ``low``.

    Within a block of SIDE rows with g groups, group i holds the rows i, i + g, i + 2 g and so on, so that the maximum
    runs over long contiguous stretches.
    """
    import torch

    count = len(rows.queries)
    best = torch.empty(len(low) if rows.same else count, len(low) // GROUP, dtype=low.dtype)
    scores = torch.empty(min(SIDE, len(best)), min(SIDE, len(low)), dtype=low.dtype)
    for first in range(0, len(best), SIDE):
        q = low[first : first + SIDE] if rows.same else rows.queries[first : first + SIDE].to(low.dtype)
        for left in range(first if rows.same else 0, len(low), SIDE):
            part = low[left : left + SIDE]
            block = scores[: len(q), : len(part)]
            torch.mm(q, part.T, out=block)
            if rows.exclude_self and left == first:
                block.fill_diagonal_(-torch.inf)
            if left + len(part) > len(rows.searched):  # rows that only fill the last group
                block[:, len(rows.searched) - left :] = -torch.inf
            groups = slice(left // GROUP, (left + len(part)) // GROUP)
            best[first : first + len(q), groups] = block.view(len(q), GROUP, -1).amax(1)
            if rows.same and left != first:
                groups = slice(first // GROUP, (first + len(q)) // GROUP)
                best[left : left + len(part), groups] = block.view(GROUP, -1, len(part)).amax(0).T
    return best[:count]


def _members(group: "torch.Tensor", count: int) -> "torch.Tensor":
    """Return the rows of groups, (B, width * GROUP), of ``count`` rows in all."""
    import torch

    per_block = SIDE // GROUP
    start = group // per_block * SIDE
    stride = torch.clamp(count - start, max=SIDE) // GROUP
    rows = (start + group % per_block)[..., None] + stride[..., None] * torch.arange(GROUP)
    return rows.flatten(1)


def _products(q: "torch.Tensor", index: "torch.Tensor", row: "torch.Tensor", column: "torch.Tensor") -> "torch.Tensor":
    """Return the inner products of pairs, summed in float32 in one order, so that identical rows tie."""
    import torch

    value = torch.empty(len(row))
    for first in range(0, len(row), PAIRS):
        part = slice(first, first + PAIRS)
        value[part] = (index[column[part]] * q[row[part]]).sum(-1)
    return value


def _rounded_off(rows: "torch.Tensor") -> "torch.Tensor":
    import torch

    length: torch.Tensor = torch.linalg.vector_norm(rows - rows.bfloat16(), dim=1)
    return length


def _second_pass(
    rows: _Rows, k: int, again: NDArray[np.int64], indices: NDArray[np.int64], similarity: NDArray[np.float32]
) -> None:
    """Search everything for some queries in float64, and rank whatever float32 could confuse with the k-th."""
    import torch

    kept = torch.from_numpy(_first_copies(rows.searched.numpy(), k + rows.exclude_self))
    X = rows.searched[kept]
    X64 = X.double()
    for part in np.array_split(again, -(-len(again) * len(X) // CELLS)):
        q = rows.queries[part]
        scores = q.double() @ X64.T
        if rows.exclude_self:
            scores[kept[None] == torch.from_numpy(part)[:, None]] = -torch.inf
        unsure = 4 * q.shape[1] * FLOAT32 * torch.linalg.vector_norm(q, dim=1).double() * rows.longest + 1e-30
        near = scores >= (scores.topk(k, dim=1).values[:, -1] - unsure)[:, None]
        row, column = near.nonzero(as_tuple=True)
        value = _products(q, X, row, column).numpy()
        place, found = row.numpy(), kept[column].numpy()
        order = np.lexsort((found, -value, place))
        starts = np.searchsorted(place, np.arange(len(part)))  # rows come in order
        chosen = order[starts[:, None] + np.arange(k)]
        indices[part], similarity[part] = found[chosen], value[chosen]


def _first_copies(index: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return the rows without those that ``count`` identical rows precede: they can be nobody's neighbours."""
    seen: Counter[bytes] = Counter()
    kept = []
    for number, row in enumerate(index):
        digest = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
        seen[digest] += 1
        if seen[digest] <= count:
            kept.append(number)
    return np.array(kept, np.int64)


def _chosen(precision: Precision) -> str:
    if precision != "auto":
        return precision
    import torch

    # newer than the oldest torch that we support
    known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bfloat16" if known.get("avx512_bf16") or known.get("amx_bf16") else "float32"


def _check(queries: NDArray[np.float32], index: NDArray[np.float32], k: int, exclude_self: bool) -> None:
    if queries.ndim != 2 or index.ndim != 2 or queries.shape[1] != index.shape[1] or not index.shape[1]:
        raise UsageFault(
            f"queries {queries.shape} and index {index.shape} do not fit",
            fix="give (M, D) and (N, D) with the same D of at least 1",
        )
    if k < 1:
        raise UsageFault(f"{k} neighbours were asked for", fix="ask for at least 1")
    if exclude_self and len(queries) != len(index):
        raise UsageFault(
            f"{len(queries)} queries can not be the {len(index)} rows of the index",
            fix="leave exclude_self out, or search the index for itself",
        )
    for name, rows in (("queries", queries), ("index", index)):
        if not np.isfinite(rows).all():
            bad = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            raise UsageFault(f"row {bad} of the {name} holds a value that is not finite", fix="leave such rows out")
