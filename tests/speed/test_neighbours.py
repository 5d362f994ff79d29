"""Exact neighbours beside scikit-learn's brute force; run by hand: `pytest tests/speed/test_neighbours.py -s`."""

import time

import numpy as np
from sklearn.neighbors import NearestNeighbors

from cytobench.datasets.near.neighbours import nearest

ROWS, WIDTH, K, ROUNDS = 20_000, 512, 1, 3


def test_twenty_thousand_rows_among_themselves() -> None:
    rows = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    nearest(rows[:2048], rows, K)  # the first call starts the library's threads
    ours = theirs = float("inf")
    for _ in range(ROUNDS):  # in turns, so that other work on the machine slows both
        began = time.perf_counter()
        found = nearest(rows, rows, K, exclude_self=True)
        between = time.perf_counter()
        known = NearestNeighbors(n_neighbors=K, algorithm="brute", metric="cosine").fit(rows).kneighbors()[1]
        ours, theirs = min(ours, between - began), min(theirs, time.perf_counter() - between)
    assert np.array_equal(known, found.indices)
    print(f"\n{found.precision}, {found.searched_again} searched again")  # noqa: T201
    print(f"scikit-learn {theirs:.2f} s, here {ours:.2f} s: {theirs / ours:.1f}×")  # noqa: T201
