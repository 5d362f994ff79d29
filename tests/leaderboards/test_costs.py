"""What generators that were given a time made of it."""

from collections.abc import Callable

from cytobench.leaderboards.costs import cost_tables
from cytobench.leaderboards.evaluation import evaluate
from cytobench.leaderboards.record import Cost, Generator, Record

MakeRecord = Callable[..., Record]


def made(records: list[Record]) -> list[tuple[str, Generator | None]]:
    return [(one.shown, one.facts.generator) for one in evaluate(records).sources]


def test_only_generators_with_a_time_have_a_row(make_record: MakeRecord) -> None:
    plain = [make_record(source, "pbc", "resnet50", 0) for source in ("pbc", "pbc-dcgan")]
    assert cost_tables(made(plain)) == []
    source = plain[1].facts.source
    assert source.generator is not None
    cost = Cost(seconds=600, fits=5, training_flops=12_345_000_000_000, image_flops=76_500_000)
    maker = source.generator.model_copy(update={"cost": cost, "config": {"steps": 1234}})
    timed = plain[1]._replace(
        facts=plain[1].facts.model_copy(update={"source": source.model_copy(update={"generator": maker})})
    )
    [table] = cost_tables(made([plain[0], timed]))
    [row] = table.rows
    assert [entry.text for entry in row[2:]] == ["600", "5", "1,234", "12.3 T", "76.5 M"]
