"""Steps that train: a trial, and the arithmetic that it is done in."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from cytobench.benchmarks.spec import BackboneSpec, GeneratorSpec, SceneSpec
from cytobench.benchmarks.steps.sets import open_set
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.datasets.imageset import ImageSet, Nature
from cytobench.errors import TrialFault
from cytobench.progress import say, task
from cytobench.seeds import seed_for
from cytobench.store import PARTIAL, read_json, write_json

if TYPE_CHECKING:
    from cytobench.classifiers.network import Network
    from cytobench.classifiers.precision import Precision

FITTED = "fitted.json"
WEIGHTS = "weights.safetensors"
CHOICE = "precision.json"


class Side(NamedTuple):
    """A set as one side of a trial: its name, what it is, and the artefacts that hold it."""

    name: str
    nature: Nature
    images: str
    """Reference of the pixels."""
    split: str
    """Reference of the table; the same as ``images`` for a synthetic set."""
    generator: GeneratorSpec | None = None
    nature_of_training: Nature | None = None
    """What the generator was trained on; where scenes are composed of cells of a set, what that set is."""
    scenes: SceneSpec | None = None
    """How its cells were put into scenes."""


class Tuned(NamedTuple):
    """What is known of a backbone on this device."""

    autocast: bool
    """Matrix products in bfloat16."""
    channels_last: bool
    """Memory format."""
    seconds_per_image: float
    """Of a training step; 0 when the arithmetic was asked for and so not measured."""
    parameters: int
    """Of the network."""


class ChoosePrecision(RunStep):
    """Measure which arithmetic trains a backbone fastest on this device.

    Done while a run is planned: the choice is in the specification of its trials, so that equal keys mean equal bytes.
    """

    kind: ClassVar[str] = "precision"
    code: ClassVar[tuple[str, ...]] = ("cytobench.classifiers.precision",)

    backbone: BackboneSpec
    image_size: int
    """Side of the square images, pixels."""
    classes: int
    batch: int
    """Images per step."""
    device: str
    """Name of the processor and its threads: another one chooses for itself."""
    asked: Literal["auto", "fp32", "bf16"]
    """auto, fp32 or bf16."""

    def title(self) -> str:
        """Return what is done."""
        return f"choose the arithmetic of {self.backbone.asked}"

    def run(self, context: Context, folder: Path) -> None:
        """Time a few steps of each setting and keep the fastest."""
        from cytobench.classifiers import precision

        network = _network(context, self.backbone, self.classes, self.image_size, seed=0)
        chosen = precision.choose(
            network, image_size=self.image_size, batch=self.batch, device=context.torch_device, asked=self.asked
        )
        device = context.torch_device
        images = precision.images_measured(image_size=self.image_size, batch=self.batch, device=device)
        fastest = min(chosen.measured.values(), default=0.0)
        parameters = sum(tensor.numel() for tensor in network.parameters())
        tuned = Tuned(chosen.autocast, chosen.channels_last, fastest / images, parameters)
        write_json(folder / CHOICE, tuned._asdict() | {"measured": chosen.measured})

    def outcome(self, context: Context) -> "Tuned":
        """Return what was chosen; measure now when that is not known yet."""
        folder = context.store.compute(self, lambda place: self.run(context, place))
        choice = read_json(folder / CHOICE)
        return Tuned(**{name: choice[name] for name in Tuned._fields})


class Train(RunStep):
    """One trial: one backbone trained on one source with one seed."""

    kind: ClassVar[str] = "trial"
    code: ClassVar[tuple[str, ...]] = (
        "cytobench.benchmarks.steps.training",
        "cytobench.classifiers.train",
        "cytobench.classifiers.network",
    )

    backbone: BackboneSpec
    source: Side
    image_size: int
    """Side of the square images, pixels."""
    classes: tuple[str, ...]
    """The label space."""
    training: dict[str, Any]
    """The whole training specification."""
    autocast: bool
    """Matrix products in bfloat16; as chosen by :class:`ChoosePrecision` or asked for."""
    channels_last: bool
    """Memory format; likewise."""
    device: str
    """cpu or cuda, and the threads: another one rounds otherwise."""
    seed: int
    """The trial's seed."""

    def modules(self) -> tuple[str, ...]:
        """Return the backbone's modules, beside the training code."""
        from cytobench.classifiers.backbone import modules_of

        return (*self.code, *modules_of(self.backbone.resolved))

    def title(self) -> str:
        """Return what is done."""
        return f"train {self.backbone.asked} on {self.source.name}, seed {self.seed}"

    def run(self, context: Context, folder: Path) -> None:
        """Train, keep the best weights; a loss that is not a number is written down as the trial's outcome."""
        from cytobench.classifiers import network as networks
        from cytobench.classifiers.train import Training, fit

        source = open_side(context, self.source, self.classes)
        spec = Training.model_validate(self.training)
        network = _network(context, self.backbone, len(self.classes), self.image_size, self._seed("weights"))
        train_rows, val_rows = source.rows("train"), source.rows("val")
        try:
            with task(self.title(), spec.steps(len(train_rows))) as work:
                fitted = fit(
                    network,
                    source.pixels,
                    source.codes(),
                    train_rows,
                    val_rows,
                    spec=spec,
                    precision=self.precision(),
                    seed=self._seed("training"),
                    device=context.torch_device,
                    partial=folder / PARTIAL,
                    tick=work.advance,
                )
        except TrialFault as fault:
            write_json(folder / FITTED, {"failure": {"reason": fault.reason, "step": fault.step}})
            say(f"{self.title()} failed: {fault.message}")
            return
        networks.save(network, folder / WEIGHTS)
        context.network = (self.key, network)
        facts = fitted._asdict() | {"network": network.facts()}
        write_json(folder / FITTED, facts)

    def precision(self) -> "Precision":
        """Return the arithmetic, as the classifiers take it."""
        from cytobench.classifiers.precision import Precision

        return Precision(self.autocast, self.channels_last, {})

    def _seed(self, what: str) -> int:
        return seed_for(self.seed, what, self.backbone.asked, self.source.name)

    def trained(self, context: Context) -> "Network":
        """Return the trained network, from memory when it was the last one in use."""
        from cytobench.classifiers import network as networks

        if context.network is None or context.network[0] != self.key:
            network = _network(context, self.backbone, len(self.classes), self.image_size, seed=0, random=True)
            networks.load_into(network, context.store.folder(self) / WEIGHTS)
            context.network = (self.key, network)
        return context.network[1]


def open_side(context: Context, side: Side, classes: tuple[str, ...]) -> ImageSet:
    """Return one side of a trial as an image set."""
    inputs = {"images": side.images, "split": side.split}
    return open_set(context, inputs, name=side.name, nature=side.nature, classes=classes)


def _network(
    context: Context, backbone: BackboneSpec, classes: int, image_size: int, seed: int, *, random: bool = False
) -> "Network":
    """Return a network with its starting weights, or with random ones when trained weights follow."""
    from cytobench.classifiers import network as networks
    from cytobench.classifiers.backbone import resolve
    from cytobench.classifiers.weights import NONE, Weights

    if random or backbone.weights_sha256 is None:
        weights = NONE
    else:
        weights = Weights(backbone.weights, backbone.weights_sha256, context.weights[backbone.weights_sha256])
    built = networks.build(
        resolve(backbone.resolved), classes=classes, image_size=image_size, weights=weights, seed=seed
    )
    return built.to(context.torch_device)
