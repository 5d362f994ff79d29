"""What generators that were given a time made of it."""

from cytobench.leaderboards.results import ImageSetSummary, Results
from cytobench.leaderboards.tables import Entry, Table


def cost_tables(results: Results) -> list[Table]:
    """Return a table with a row for each synthetic set whose generator was given seconds; none where there is none."""
    rows = [row for one in results.sources if (row := _row(one)) is not None]
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


def _row(one: ImageSetSummary) -> tuple[Entry, ...] | None:
    generator = one.facts.generator
    if generator is None or generator.cost is None:
        return None
    cost = generator.cost
    return (
        Entry(one.shown),
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
