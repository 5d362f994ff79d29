"""The check of the sets against one another, with what the generators behind them saw.

Apart from the sets' own steps, whose keys would else hang on the code of generators.
"""

from pathlib import Path
from typing import ClassVar

from cytobench.benchmarks.steps.ancestry import generated_from
from cytobench.benchmarks.steps.sets import CheckSets
from cytobench.benchmarks.steps.step import Context
from cytobench.datasets import guard
from cytobench.datasets.imageset import TABLE, read_table


class CheckAncestry(CheckSets):
    """Prove, too, that no set's test part was seen by a generator of another set's images."""

    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.leaks",)

    def run(self, context: Context, folder: Path) -> None:
        """Compare every test part with what is behind every other set's training and validation parts.

        Raises:
            IntegrityFault: A picture is on both sides, or was seen by a generator of the other side.
        """
        tables = {name: read_table(context.folder(self.inputs[name]) / TABLE) for name, _ in self.sets}
        for source, table in tables.items():
            behind = generated_from(context, table[table["split"].isin(("train", "val"))])
            for target, nature in self.sets:
                test = tables[target][tables[target]["split"] == "test"]
                found = guard.findings(test, target, nature, guard.Exposure(), behind) if target != source else []
                guard.refuse(
                    found,
                    f"{target} can't be tested on what was trained on {source}",
                    fix=f"leave one of the two sets out, or test on parts of {target} that no generator saw",
                )
        super().run(context, folder)
