"""The check of the sets against one another, with what the generators behind them saw.

Apart from the sets' own steps, whose keys would else hang on the code of generators.
"""

from pathlib import Path
from typing import ClassVar

from cytobench.benchmarks.steps.ancestry import composed_of, generated_from
from cytobench.benchmarks.steps.sets import CheckSets
from cytobench.benchmarks.steps.step import Context
from cytobench.datasets import guard
from cytobench.datasets.imageset import TABLE, read_table


class CheckAncestry(CheckSets):
    """Prove, too, that no set's test part was seen by a generator of another set's images, and that no scene to test
    on is composed of cells that are behind what is trained on."""

    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.leaks",)

    def run(self, context: Context, folder: Path) -> None:
        """Compare every test part with what is behind every other set's training and validation parts.

        Raises:
            IntegrityFault: A picture is on both sides, was seen by a generator of the other side or was cut out for a
                scene of it.
        """
        tables = {name: read_table(context.folder(self.inputs[name]) / TABLE) for name, _ in self.sets}
        for source, table in tables.items():
            shown = table[table["split"].isin(("train", "val"))]
            behind = generated_from(context, shown)
            learned = guard.exposure(shown, source) | behind
            for target, nature in self.sets:
                test = tables[target][tables[target]["split"] == "test"]
                found = guard.findings(test, target, nature, guard.Exposure(), behind) if target != source else []
                found += guard.shared_cells(test, composed_of(context, test), learned)
                guard.refuse(
                    found,
                    f"{target} can't be tested on what was trained on {source}",
                    fix=f"leave one of the sets out, or test on parts of {target} that nothing was drawn from",
                )
        super().run(context, folder)
