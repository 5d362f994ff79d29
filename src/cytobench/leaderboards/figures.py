"""All figures of a board."""

from cytobench.leaderboards.canvas import Drawing
from cytobench.leaderboards.curves import curves
from cytobench.leaderboards.dials import dial_figures
from cytobench.leaderboards.ladders import ladder_figures
from cytobench.leaderboards.matrices import confusions, source_by_target
from cytobench.leaderboards.results import Results


def figures(results: Results) -> list[Drawing]:
    """Return every figure that is drawn from records; none where there are none."""
    if not results.records:
        return []
    drawn = [
        source_by_target(results),
        *dial_figures(results),
        *ladder_figures(results),
        *(confusions(results, backbone) for backbone in results.backbones),
    ]
    if any(one.facts.history for one in results.records):
        drawn.append(curves(results))
    return drawn
