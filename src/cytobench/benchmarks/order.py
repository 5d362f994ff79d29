"""What a user asks of a run."""

from cytobench.benchmarks.lookup import Data, SetOptions
from cytobench.device import Asked

DEFAULT_PROTOCOL = "cross-dataset"


class Order(SetOptions):
    """The options of ``cytobench run``, as given; a run folder keeps them so that ``resume`` can ask again."""

    generators: tuple[str, ...] = ()
    """None: the protocol's, or no synthetic set."""
    composers: tuple[str, ...] = ()
    """Levels of the scenes that cells are put into; none: the protocol's, or no scenes."""
    distractors: Data | None = None
    """What lies around the central cells of scenes; None: what the description of the cells says."""
    vary: dict[str, str] = {}
    """``--vary``: settings of the generators, each with several values, as ``generator.shots`` with ``1,4,16``."""
    backbones: tuple[str, ...] = ()
    """Names or aliases; none: the protocol's, which may train no classifier."""
    protocol: str = DEFAULT_PROTOCOL
    """Which experiment."""
    profile: str = ""
    """Empty: demo without data, standard with."""
    fold: str = ""
    """``K/N``: the K-th of N rotating splits, from 1; empty draws one split by the protocol's shares."""
    generate_from: str = ""
    """The set that the generators learn from; empty: the first."""
    shots_from: str = ""
    """File that lists the only images that generators may see; empty: all of the training part."""
    weights: dict[str, str] = {}
    """hub, none or a file, by backbone; the empty name is for all."""
    settings: dict[str, str] = {}
    """``--set``: overrides of the profile, as ``training.epochs``."""
    extractors: tuple[str, ...] = ()
    """What looks at synthetic images, as typed; none: the profile's, or ``own``, a network of the run that learned
    from real ones."""
    seeds: int = 0
    """0: the profile's."""
    device: Asked = "auto"
    """Where to compute."""
