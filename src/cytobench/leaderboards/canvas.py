"""Where the figures of a board are drawn: style, colours, space around panels. The same input gives the same bytes."""

import functools
import io
import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cytobench.leaderboards.results import ImageSetSummary, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PIXELS_PER_INCH = 160
INCHES_PER_LETTER = 0.088  # of a title
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""Told apart by colour-blind eyes: Okabe & Ito 2008, yellow replaced because it is lost on white."""
DASHES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")
SCALE = "YlGnBu"
MISSING = "#e6e6e6"
FRAME = "#D55E00"
ALARM = "#7a2e00"

STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.edgecolor": "#444444",
    "axes.linewidth": 0.8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "figure.facecolor": "white",
    "text.parse_math": False,  # a name with dollar signs is a name
}


class Drawing(NamedTuple):
    """A figure as it is stored and shown."""

    name: str
    """File name without its ending."""
    title: str
    png: bytes


def what(results: Results) -> str:
    """Return what every title says: the experiment, its size, and how many seeds."""
    seeds = sorted({len(one.seeds) for one in results.entries.values() if one.seeds})
    if not seeds:
        count = "no finished trial"
    elif seeds == [1]:
        count = "one seed: preliminary"
    else:
        count = f"{'–'.join(map(str, dict.fromkeys([seeds[0], seeds[-1]])))} seeds"
    return f"{short(results.protocol, 30)}, profile {results.profile}, {count}"


def folded(one: ImageSetSummary) -> str:
    """Return a set's name with its mark below it, in lines that fit under a cell of a table."""
    mark = one.shown.removeprefix(one.name).strip().replace(" from ", "\nfrom ")
    return f"{short(one.name, 16)}\n{mark}" if mark else short(one.name, 16)


def short(name: str, most: int = 14) -> str:
    """Return a name of at most some letters, without its middle: names that differ often do so at their end."""
    if len(name) <= most:
        return name
    end = (most - 1) // 2
    return f"{name[: most - 1 - end]}…{name[len(name) - end :]}"


def label_inches(names: Sequence[str]) -> float:
    """Return the space that tick labels need."""
    return 0.15 + 0.072 * max(len(short(name, 16)) for name in names)


def file_name(name: str, names: Sequence[str]) -> str:
    """Return a name that is safe in every file system, told apart by its number."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower()).strip("-")
    return f"{names.index(name) + 1:02d}-{plain}"[:60].rstrip("-")


@functools.cache
def ink(value: float) -> str:
    """Return the colour of text that is read on the tile of a value."""
    from matplotlib import colormaps

    red, green, blue, _ = colormaps[SCALE](value)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "#1a1a1a"


class Frame(NamedTuple):
    """Space around panels, inches. Fixed, not fitted: fitting takes most of the time of a figure with many panels."""

    left: float
    right: float
    top: float
    bottom: float
    across: float
    """Between neighbours."""
    down: float
    """Between one row and the next."""
    above: float
    """Over the first row, for panel titles."""
    below: float = 0.0
    """Under the last row, for labels."""


def grid(
    figure: "Figure",
    frame: Frame,
    shape: tuple[int, int],
    panel: tuple[float, float],
    *,
    title: str,
    count: int | None = None,
) -> list["Axes"]:
    """Size a figure for panels and its title, and return the axes row by row.

    Args:
        figure: An empty figure.
        frame: Space around panels.
        shape: Rows and columns of panels.
        panel: Width and height of each, inches.
        title: Written on top; the figure is at least as wide.
        count: How many panels are needed, all unless told.
    """
    (down, across), (wide, high) = shape, panel
    needed = 0.3 + INCHES_PER_LETTER * max(map(len, title.splitlines()))
    used = frame.left + across * wide + (across - 1) * frame.across + frame.right
    width = max(needed, used)
    left = frame.left + (width - used) / 2
    over = frame.top + frame.above
    height = over + down * high + (down - 1) * frame.down + frame.below + frame.bottom
    figure.set_size_inches(width, height)
    figure.suptitle(title, fontsize=10, y=1 - 0.08 / height)
    places = itertools.islice(itertools.product(range(down), range(across)), count)
    corners = [(left + c * (wide + frame.across), over + r * (high + frame.down) + high) for r, c in places]
    return [figure.add_axes((x / width, 1 - y / height, wide / width, high / height)) for x, y in corners]


@contextmanager
def canvas() -> Iterator[tuple["Figure", Callable[[], bytes]]]:
    """Give a figure that no setting of the user's changes, and a function that returns it as PNG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        figure = Figure(dpi=PIXELS_PER_INCH)
        FigureCanvasAgg(figure)

        def png() -> bytes:
            content = io.BytesIO()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box stands for the letter
                figure.savefig(content, format="png", metadata={"Software": None})
            return content.getvalue()

        yield figure, png
