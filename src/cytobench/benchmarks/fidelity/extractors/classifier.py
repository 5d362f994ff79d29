"""Features of a classifier that a run has trained on real cells."""

from pathlib import Path
from typing import TYPE_CHECKING

from cytobench.benchmarks.fidelity import penultimate
from cytobench.benchmarks.fidelity.contract import ExtractorSpec, Found, Network
from cytobench.errors import EnvironmentFault, IntegrityFault, UsageFault
from cytobench.registry import plugin
from cytobench.store import DONE, file_sha256, is_whole, read_json

if TYPE_CHECKING:
    import torch


@plugin("extractor", "classifier")
class Classifier:
    """A run's own network before its last layer: classifier=cytobench-runs/store/trial/KEY."""

    @staticmethod
    def find(name: str, model: str, place: str) -> Found:
        """Look a trial of a store up, and prove that its weights are those that were trained."""
        from cytobench.benchmarks.steps.training import WEIGHTS

        if model or not place:
            raise UsageFault(f"--extractor {name}: which one?", fix="--extractor classifier=RUNS/store/trial/KEY")
        folder = Path(place).expanduser()
        if not (folder / DONE).is_file():
            raise EnvironmentFault(
                f"{place} is no finished trial", fix="name a folder below store/trial; done.json in it says what it is"
            )
        if not is_whole(folder) or not (folder / WEIGHTS).is_file():
            raise IntegrityFault(
                f"{place} was edited, or its training failed", fix="repeat the run, or name another one"
            )
        trial = f"trial/{folder.resolve().name}"
        return Found(ExtractorSpec(name=name, model=trial, origin=trial, sha256=file_sha256(folder / WEIGHTS)), folder)

    @staticmethod
    def load(found: Found, device: "torch.device") -> Network:
        """Build the trial's backbone, fill in what it learned, and return its features before the last layer.

        Raises:
            IntegrityFault: Another version of cytobench wrote it.
        """
        from pydantic import ValidationError

        from cytobench.benchmarks.steps.training import WEIGHTS, Train
        from cytobench.classifiers import network as networks
        from cytobench.classifiers.backbone import resolve
        from cytobench.classifiers.weights import NONE

        assert found.path is not None
        try:
            trial = Train.model_validate(read_json(found.path / DONE)["specification"])
        except (ValidationError, KeyError) as error:
            raise IntegrityFault(f"{found.path} is no trial of this version", fix="repeat the run") from error
        network = networks.build(
            resolve(trial.backbone.resolved),
            classes=len(trial.classes),
            image_size=trial.image_size,
            weights=NONE,
            seed=0,
        )
        networks.load_into(network, found.path / WEIGHTS)
        return penultimate.before_last_layer(network.to(device), trial.image_size)
