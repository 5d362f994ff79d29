import numpy as np
import pytest

from cytobench.classifiers.order import epoch_batches

LABELS = np.repeat([0, 1, 2], [50, 8, 2]).astype(np.int64)
ROWS = np.arange(60)


def test_balanced_epochs_show_every_class_equally_often() -> None:
    order = np.concatenate(epoch_batches(LABELS, ROWS, batch=7, balanced=True, seed=0, epoch=0))
    assert np.bincount(LABELS[order]).tolist() == [20, 20, 20]
    _, times = np.unique(order[LABELS[order] == 1], return_counts=True)
    assert sorted(times.tolist()) == [2, 2, 2, 2, 3, 3, 3, 3], "a small class is shown whole before it is repeated"
    assert len(np.unique(order[LABELS[order] == 0])) == 20, "a large one is not repeated"


def test_over_the_epochs_all_of_a_large_class_is_shown() -> None:
    seen = [epoch_batches(LABELS, ROWS, batch=7, balanced=True, seed=0, epoch=epoch) for epoch in range(20)]
    assert set(np.concatenate([np.concatenate(one) for one in seen])) == set(ROWS)


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("images", [2, 15, 61, 240])
def test_an_epoch_shows_as_many_images_as_asked_for_whatever_the_size_of_the_set(images: int, balanced: bool) -> None:
    order = np.concatenate(epoch_batches(LABELS, ROWS, images=images, batch=7, balanced=balanced, seed=0, epoch=0))
    assert len(order) == images
    if balanced:
        of_class = np.bincount(LABELS[order], minlength=3)
        assert of_class.max() - of_class.min() <= 1
    else:
        times = np.bincount(order, minlength=len(ROWS))
        assert times.max() - times.min() <= 1, "no image again before all others"


def test_plain_epochs_show_every_row_once() -> None:
    rows = ROWS[5:45]
    order = np.concatenate(epoch_batches(LABELS, rows, batch=7, balanced=False, seed=0, epoch=0))
    assert sorted(order) == sorted(rows)


@pytest.mark.parametrize("balanced", [True, False])
def test_the_order_is_a_function_of_seed_and_epoch(balanced: bool) -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_batches(LABELS, ROWS, batch=7, balanced=balanced, seed=seed, epoch=epoch)).tolist()  # type: ignore[no-any-return]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


@pytest.mark.parametrize(("count", "sizes"), [(21, [10, 11]), (22, [10, 10, 2]), (20, [10, 10]), (1, [1])])
def test_no_batch_of_one_image_is_left_at_the_end(count: int, sizes: list[int]) -> None:
    batches = epoch_batches(LABELS, ROWS[:count], batch=10, balanced=False, seed=0, epoch=0)
    assert [len(batch) for batch in batches] == sizes


def test_a_class_that_is_absent_takes_no_share() -> None:
    order = np.concatenate(epoch_batches(LABELS, ROWS[:58], batch=7, balanced=True, seed=0, epoch=0))
    assert np.bincount(LABELS[order]).tolist() == [29, 29]
