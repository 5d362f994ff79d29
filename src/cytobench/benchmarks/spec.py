"""A run as data: what was asked for, resolved and frozen, with nothing in it that depends on the machine's paths."""

from typing import Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    ValidationError,
    field_validator,
    model_validator,
)

from cytobench import registry
from cytobench.datasets.awkward import Choices
from cytobench.datasets.imageset import Nature
from cytobench.datasets.splits import Fold
from cytobench.device import Asked
from cytobench.errors import UsageFault

Table = TypeVar("Table", bound=BaseModel)
LearnedFrom = Literal["half", "whole", "everything"]
"""What a generator sees of a set: one half of its training part, all of that, or all images of the set."""
POOLED = "cell"
"""The one class that all labels are where a protocol pools them."""


class Frozen(BaseModel):
    """A typed table that forbids unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Protocol(Frozen):
    """An experiment as data: what is trained and tested on what."""

    title: str
    """One line for lists and boards."""
    pairs: Literal["same", "all", "photographed", "none"]
    """``same``: every source on its own test part; ``all``: on every target's; ``photographed``: on those of sets that
    no generator made; ``none``: no classifier is trained, and what generators draw is measured alone."""
    learned_from: LearnedFrom = "half"
    """Generators of synthetic training images learn from one half of a set's training part, so that those of synthetic
    test images have another; or from the whole of it, where no synthetic test set is drawn; or from everything, the
    test part, too, where nothing is tested: then they are compared with images that they saw."""
    held_out: bool = False
    """Where generators learn from everything: fit each once more on the training part alone, and compare what that
    draws with the test part, which it did not see."""
    pooled: bool = False
    """Whether generators learn all labels as one class, where no classifier is trained."""
    ratios: tuple[float, float, float]
    """Shares of train, val and test where a split is drawn."""
    reference: str = ""
    """The publication that the protocol follows."""
    flaws: tuple[str, ...] = ()
    """What is known to be wrong with it, in sentences; boards say so."""
    settings: dict[str, dict[str, Any]] = {}
    """By profile: settings as ``--set`` takes them, in tables by their first word, before which the user's go."""
    generators: tuple[str, ...] = ()
    """What draws cells where the order names nothing."""
    backbones: dict[str, tuple[str, ...]] = {}
    """What is trained where the order names nothing, by profile; the empty name is for every other profile."""
    composers: tuple[str, ...] = ()
    """Levels of the scenes that drawn cells are put into, where the order names none."""
    publishes: str = ""
    """What the frozen set is called that a finished run becomes; empty: none is made."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.learned_from == "whole" and self.pairs not in ("photographed", "none"):
            raise ValueError(
                'learned_from = "whole" leaves nothing to draw a synthetic test set from: pairs must be '
                '"photographed" or "none"'
            )
        if self.pairs != "none" and (self.learned_from == "everything" or self.pooled):
            raise ValueError('learned_from = "everything" and pooled leave nothing to test: pairs must be "none"')
        if self.held_out and self.learned_from != "everything":
            raise ValueError('held_out is for learned_from = "everything"')
        return self

    @field_validator("ratios")
    @classmethod
    def _whole(cls, ratios: tuple[float, float, float]) -> tuple[float, float, float]:
        if abs(sum(ratios) - 1) > 1e-9 or min(ratios) <= 0:
            raise ValueError("train, val and test shares must be positive and add up to 1")
        return ratios


class SyntheticCounts(Frozen):
    """Synthetic images per class."""

    train: int = Field(ge=1)
    """Drawn by the generators of partition a, or of the whole training part (``Protocol.learned_from``)."""
    val: int = Field(ge=1)
    """Likewise; other images than train."""
    test: int = Field(ge=1)
    """Drawn by the generators of partition b."""
    fits: int = Field(default=1, ge=1)
    """Independent trainings of each generator: trials with seed n learn from what number n, modulo this, drew."""


class Profile(Frozen):
    """The size of an experiment; never its kind."""

    title: str
    """One line for lists."""
    generators: Literal["demo", "standard", "paper"]
    """Which of the generators' own configurations it takes."""
    image_size: int = Field(ge=8, le=1024)
    """Side of the square images, pixels."""
    weights: str
    """``hub``, ``none`` or a file: what backbones start from."""
    seeds: int = Field(ge=1)
    """Trainings of each backbone on each source."""
    drawn_per_class: int = Field(ge=5)
    """Images per class of a drawn data set."""
    synthetic: SyntheticCounts
    """Size of the synthetic set."""
    training: dict[str, Any] = {}
    """What differs from the defaults of :class:`cytobench.classifiers.train.Training`."""
    train_per_class: int = Field(default=0, ge=0)
    """At most so many real training images per class; 0 takes all."""
    train_of_class: dict[str, NonNegativeInt] = {}
    """Likewise for single classes, where they differ: a study of a starved class."""
    extractors: tuple[str, ...] = ()
    """What looks at synthetic images where ``--extractor`` says nothing; empty: a network of the run."""
    smaller: dict[str, str] = {}
    """Aliases that mean a smaller network of the same family here; said when used, boards print what was trained."""


class SetSpec(Frozen):
    """One set of images that a run reads or draws."""

    name: str
    """As on boards."""
    nature: Nature
    """Real or drawn."""
    images_key: str
    """Key of the step that makes its pixels: the contents of its files, or the drawing code and seed."""
    labels: dict[str, str] = {}
    """Label on the disk -> class, for those that are not the same; empty text leaves out."""
    choices: Choices
    """What was chosen about awkward images in it."""


class GeneratorSpec(Frozen):
    """A generator of a run, and the synthetic set that it draws."""

    name: str
    """Its plug-in."""
    set_name: str
    """What boards call the set that it draws."""
    base: str = ""
    """What it starts from and what that was trained on before; empty for a random start."""
    varied: dict[str, Any] = {}
    """Its values of the settings in which the run's generators differ (``--vary``)."""
    seconds: float = Field(default=0, ge=0)
    """What all its fits on one partition may take together on the run's device; 0: the steps are in ``config``."""
    epochs: float = Field(default=0, ge=0)
    """How often its fits on one partition together are shown as many images as that has; 0: the steps are in
    ``config``."""
    learned_from: LearnedFrom = "half"
    """What it sees of the set."""
    fits: int = 0
    """How many fits on one partition there are, where they were given seconds or epochs."""
    training_flops: int = 0
    """Floating point operations of these fits; likewise."""
    image_flops: int = 0
    """Of one drawn image; likewise."""
    config: dict[str, Any]
    """Its whole configuration."""
    trained_on: str
    """The set whose training part it sees."""
    only: tuple[str, ...] = ()
    """Names of the only files that it may see; empty: all."""


class LevelSpec(Frozen):
    """One level of the scenes of a run."""

    asked: str
    """A name, or a number on the dial."""
    level: dict[str, Any]
    """All of it, as :class:`cytobench.composers.levels.Level`."""


class Scenery(Frozen):
    """The scenes of a run: cells of what its generators draw, or of one of its sets, put among others."""

    levels: tuple[LevelSpec, ...]
    """How hard they are: for each, scenes of every set of cells."""
    optics: dict[str, Any]
    """The size of things, as :class:`cytobench.composers.composer.Optics`."""
    cells: str
    """The set that cells are cut from where no generator draws any."""
    around: SetSpec | None
    """What lies around the central cells beside white ones; None: nothing."""
    classes: tuple[str, ...]
    """Its classes."""
    generators: tuple[GeneratorSpec, ...]
    """What draws the cells around, in the order of the run's generators; empty: they are cut from the set itself."""


class SceneSpec(Frozen):
    """How a set of scenes was composed."""

    cells: str
    """The set of the white cells."""
    around: str
    """That of the others; empty: none."""
    level: LevelSpec
    """How hard they are."""
    optics: dict[str, Any]
    """The size of things."""
    photographs: bool
    """Whether cells of photographs are in them, so that no picture of them is published."""


class BackboneSpec(Frozen):
    """One backbone of a run, resolved."""

    asked: str
    """As the user calls it."""
    resolved: str
    """The name that was looked up; another one than asked where a profile takes a smaller network."""
    library: str
    """Where it comes from: timm, torchvision, own."""
    model: str
    """Its full name there."""
    weights: str
    """Origin of the starting weights."""
    weights_sha256: str | None
    """Their hash; None for a random start."""


class RunSpec(Frozen):
    """Everything that decides a run's numbers."""

    protocol_name: str
    """Its name in lists."""
    protocol: Protocol
    """Its content."""
    profile: str
    """The profile's name, for boards; its values are in the other fields."""
    image_size: int
    """Side of the square images, pixels."""
    classes: tuple[str, ...]
    """The label space."""
    sets: tuple[SetSpec, ...]
    """Real or drawn sets, in the order given."""
    fold: Fold | None
    """Which of several rotating splits; None: one split by the protocol's shares."""
    generators: tuple[GeneratorSpec, ...]
    """One for each synthetic set."""
    synthetic: SyntheticCounts
    """Size of the synthetic set."""
    scenery: Scenery | None = None
    """None: drawn cells are used as they are."""
    train_per_class: int
    """At most so many real training images per class; 0 takes all."""
    train_of_class: dict[str, int]
    """Likewise for single classes."""
    backbones: tuple[BackboneSpec, ...]
    """What is trained."""
    training: dict[str, Any]
    """The whole training specification."""
    seeds: int
    """Trainings of each backbone on each source."""
    seed: int
    """Root of all named seeds."""
    device: Asked
    """As asked for."""

    @property
    def drawn_classes(self) -> tuple[str, ...]:
        """The classes that generators tell apart."""
        return (POOLED,) if self.protocol.pooled else self.classes


def load_protocol(name: str) -> Protocol:
    """Return a protocol by name.

    Raises:
        UsageFault: No such name, or its file does not fit.
    """
    return _loaded(Protocol, "protocol", name)


def load_profile(name: str) -> Profile:
    """Return a profile by name.

    Raises:
        UsageFault: No such name, or its file does not fit.
    """
    return _loaded(Profile, "profile", name)


def _loaded(table: type[Table], kind: str, name: str) -> Table:
    return fitted(table, registry.load(kind, name), f"{kind} {name!r}")


def fitted(table: type[Table], values: dict[str, Any], what: str) -> Table:
    """Return values as a typed table.

    Raises:
        UsageFault: Unknown keys or wrong values, all of them.
    """
    try:
        return table.model_validate(values)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg']} (given: {one['input']!r})" for one in error.errors()
        ]
        raise UsageFault(f"{what} does not fit", problems=problems, fix="correct these values") from error
