"""What generators that were given a time made of it."""

from collections.abc import Iterable

from cytobench.leaderboards.record import Generator
from cytobench.leaderboards.tables import Entry, Table


def cost_tables(made: Iterable[tuple[str, Generator | None]]) -> list[Table]:
    """Return a table with a row for each synthetic set whose generator was given seconds; none where there is none.

    Args:
        made: Sets by the name that is shown, and what drew each; one that is named again counts once.
    """
    rows = [row for shown, generator in dict(made).items() if (row := _row(shown, generator)) is not None]
    if not rows:
        return []
    return [
        Table(
            "What each generator was given",
            "Seconds of all fits of one training together on the device of the run. Operations are multiplications and "
            "additions of convolutions, matrix products and attention, counted.",
            ("set", "generator", "seconds", "fits", "steps of each", "operations of training", "of one image"),
            tuple(rows),
        )
    ]


def _row(shown: str, generator: Generator | None) -> tuple[Entry, ...] | None:
    if generator is None or generator.cost is None:
        return None
    cost = generator.cost
    return (
        Entry(shown),
        Entry(generator.name),
        Entry(f"{cost.seconds:g}"),
        Entry(str(cost.fits)),
        Entry(f"{generator.config['steps']:,}"),
        Entry(_operations(cost.training_flops)),
        Entry(_operations(cost.image_flops)),
    )


def _operations(count: int) -> str:
    """Return a count of operations with three digits and its unit.

    >>> _operations(1_234_000_000)
    '1.23 G'
    """
    for power, unit in ((15, "P"), (12, "T"), (9, "G"), (6, "M")):
        if count >= 10**power:
            return f"{count / 10**power:.3g} {unit}"
    return str(count)
