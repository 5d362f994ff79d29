"""The step that tests: a trial's predictions on a target, checked by the guard and written down as a record."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cytobench.benchmarks.steps.ancestry import ancestors, composed_of, generated_from
from cytobench.benchmarks.steps.maker import made_by
from cytobench.benchmarks.steps.sets import SPLIT
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.benchmarks.steps.training import FITTED, Side, Train, open_side
from cytobench.datasets import guard
from cytobench.datasets.imageset import ImageSet
from cytobench.device import versions
from cytobench.leaderboards import record as records
from cytobench.progress import task
from cytobench.store import read_json

TEST_BATCH = 64


class Test(RunStep):
    """One record: a trial's predictions on the test part of a target, checked by the guard."""

    kind: ClassVar[str] = "record"
    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.testing", "cytobench.classifiers.predict")

    trial: Train
    target: Side
    protocol: str
    profile: str

    def title(self) -> str:
        """Return what is done."""
        return f"test {self.trial.backbone.asked} of {self.trial.source.name} on {self.target.name}"

    def run(self, context: Context, folder: Path) -> None:
        """Let the guard check the test images, predict each once, and write the record.

        Raises:
            IntegrityFault: The test images could have been learned from.
        """
        source = open_side(context, self.trial.source, self.trial.classes)
        target = open_side(context, self.target, self.trial.classes)
        checked = self._guard(context, source, target)
        fitted = read_json(context.folder(self.inputs["trial"]) / FITTED)
        predictions = None
        if "failure" not in fitted:
            predictions = self._predict(context, target)
        records.save(folder, self._facts(context, source, target, checked, fitted), predictions)

    def _guard(self, context: Context, source: ImageSet, target: ImageSet) -> records.Guard:
        shown = source.table[source.table["split"].isin(("train", "val"))]
        trained = guard.exposure(shown, source.name)
        behind = generated_from(context, shown)
        test = target.table[target.table["split"] == "test"]
        found = guard.findings(test, target.name, target.nature, trained, behind)
        found += guard.shared_cells(test, composed_of(context, test), trained | behind)
        guard.refuse(found, f"{self.title()}")
        own = generated_from(context, test).pixels
        return records.Guard(
            test_images=len(test),
            exposed_images=0,
            checks=guard.CHECKS,
            shared_ancestors=len(own & (trained.pixels | behind.pixels)),
        )

    def _predict(self, context: Context, target: ImageSet) -> records.Predictions:
        from cytobench.classifiers.predict import logits

        rows = target.rows("test")
        with task(self.title(), len(rows)) as work:
            values = logits(
                self.trial.trained(context),
                target.pixels,
                rows,
                precision=self.trial.precision(),
                batch=TEST_BATCH,
                device=context.torch_device,
                tick=work.advance,
            )
        return records.Predictions(target.ids("test"), target.codes()[rows], values.astype(np.float32))

    def _facts(
        self, context: Context, source: ImageSet, target: ImageSet, checked: records.Guard, fitted: dict[str, Any]
    ) -> records.RecordFacts:
        backbone, failure = self.trial.backbone, fitted.get("failure")
        network = fitted.get("network", {})
        return records.RecordFacts(
            protocol=self.protocol,
            profile=self.profile,
            backbone=records.Backbone(
                asked=backbone.asked,
                library=backbone.library,
                model=backbone.model,
                parameters=network.get("parameters", 0),
                input_size=network.get("input_size", self.trial.image_size),
            ),
            weights=records.Weights(origin=backbone.weights, sha256=backbone.weights_sha256),
            source=records.Source(
                **_set_facts(context, self.trial.source, source, ("train", "val")),
                images_train=len(source.rows("train")),
                images_val=len(source.rows("val")),
            ),
            target=records.Target(
                **_set_facts(context, self.target, target, ("test",)), images_test=len(target.rows("test"))
            ),
            seed=self.trial.seed,
            classes=self.trial.classes,
            training=self.trial.training,
            precision={
                "asked": self.trial.training["precision"],
                "autocast": self.trial.autocast,
                "channels_last": self.trial.channels_last,
            },
            history=tuple(fitted.get("history", ())),
            best_epoch=fitted.get("best_epoch"),
            selection=fitted.get("selection", "none"),
            guard=checked,
            status="failed" if failure else "done",
            failure=records.Failure(**failure) if failure else None,
            device=context.device._asdict(),
            versions=versions(),
            ancestry=tuple(sorted({*ancestors(context, self.inputs["trial"]), *ancestors(context, self.target.split)})),
        )


def _set_facts(context: Context, side: Side, images: ImageSet, parts: tuple[str, ...]) -> dict[str, Any]:
    counts = [images.counts(part) for part in parts]
    generator, scenes = side.generator, side.scenes
    return {
        "name": side.name,
        "nature": side.nature,
        "absent_classes": tuple(label for label in images.classes if not any(count[label] for count in counts)),
        "split_sha256": read_json(context.folder(side.split) / SPLIT)["sha256"],
        "key": side.split,
        "told": side.nature == "synthetic" and bool((images.table["generator_run"] != "").all()),
        "generator": generator and made_by(generator, side.nature_of_training or "real"),
        "scenes": scenes
        and records.Scenes(
            level=scenes.level.asked,
            dial=scenes.level.level["dial"],
            cells=scenes.cells,
            around=scenes.around,
            config=scenes.level.level,
            optics=scenes.optics,
        ),
    }
