"""Whether images were copied: from the images that the generator has seen, beside real ones that it has not.

Three ways. Equal pixels; one picture in two files (:mod:`cytobench.datasets.near.copies`), counted beside how often it
happens among real images; and which lies nearer, an image that was seen or one that was not, of as many of each. Seen
and unseen images are of one distribution, so by chance half of the synthetic ones have a seen image nearest, however
blurred, poor or alike they are (Platzer & Reutterer 2021, "Holdout-based empirical assessment of mixed-type synthetic
data", doi:10.3389/fdata.2021.679939). One seen image may be nearest to many, so that the p-value is a permutation's:
which patients were seen is shuffled, and which images, within each class, where no patients are known
(:mod:`cytobench.benchmarks.fidelity.exchange`).
"""

import numpy as np

from cytobench.benchmarks.fidelity import exchange, selection
from cytobench.benchmarks.fidelity.distances import nearest_in
from cytobench.benchmarks.fidelity.problems import more_than
from cytobench.benchmarks.fidelity.selection import Shown
from cytobench.leaderboards.fidelity import ALL, CopyTest, Problem
from cytobench.seeds import seed_for

ALPHA = 0.01
SHUFFLES = 2000
ROUNDING = 1e-6  # of a sum of scores: equal sums, added up in another order
EQUAL, NEAR, NEARER = "equal pixels", "one picture", "nearer to a seen image than to an unseen one"
UNKNOWN = "what the generator saw is unknown"
UNLISTED = "not among those that the generator lists as seen"
SAID_OF = "; "  # between what is counted and a doubt
NOTHING = "its generator saw no image, so that nothing can be copied"


def tests(
    seen: Shown, unseen: Shown | None, synthetic: Shown, *, classes: int, near: bool, seed: int
) -> tuple[CopyTest, ...]:
    """Return every test that can be made; of a generator that learned from nothing, that there is nothing to test.

    Args:
        seen: Real images that the generator learned from, or all where there is a doubt.
        unseen: Others of the same origin; None when there are none or it is not known which were seen.
        synthetic: What it drew.
        classes: Codes are below.
        near: Whether the search for one picture in two files is made: it takes a minute for some ten thousand images.
        seed: Of choice and shuffles.
    """
    if not len(seen.codes):
        return (CopyTest(test=NOTHING, found=0, of=len(synthetic.codes), usual=0.0, p=1.0),)
    found = [_equal(seen, synthetic)]
    if near:
        found.append(_near(seen, unseen, synthetic, classes=classes, seed=seed))
    if unseen is not None:
        found += [_nearer(seen, unseen, synthetic, name, classes=classes, seed=seed) for name in synthetic.features]
    return tuple(one for one in found if one.of)


def doubted(found: tuple[CopyTest, ...], doubt: str) -> tuple[CopyTest, ...]:
    """Return tests whose real images are not known to have been seen, and which say so: UNKNOWN or UNLISTED."""
    return tuple(one.model_copy(update={"test": f"{one.test}{SAID_OF}{doubt}"}) for one in found)


def problems(found: tuple[CopyTest, ...]) -> list[Problem]:
    """Return what the tests show: any equal pixels, and shares that chance does not explain (after Bonferroni)."""
    return [
        Problem(name="copied", scope=ALL, text=sentence(one))
        for one in found
        if (one.test.partition(SAID_OF)[0] == EQUAL and one.found) or one.p * len(found) < ALPHA
    ]


def sentence(one: CopyTest) -> str:
    """Return a test as people say it."""
    if one.test == NOTHING:
        return one.test
    test, _, doubt = one.test.partition(SAID_OF)
    look = f" ({one.extractor})" if one.extractor else ""
    real = f"a real image ({doubt})" if doubt else "a real image that the generator saw"
    what = {
        EQUAL: f"have the pixels of {real}",
        NEAR: f"show one picture with {real}",
        NEARER: f"lie nearer to a real image that it saw than to one that it did not{look}",
    }[test]
    return f"{one.found:,} of {one.of:,} images {what}; by chance {one.usual:.1%}, p = {one.p:.2g}"


def _equal(seen: Shown, synthetic: Shown) -> CopyTest:
    known = {image.tobytes() for image in seen.pixels}
    found = sum(image.tobytes() in known for image in synthetic.pixels)
    return CopyTest(test=EQUAL, found=found, of=len(synthetic.pixels), usual=0.0, p=0.0 if found else 1.0)


def _near(seen: Shown, unseen: Shown | None, synthetic: Shown, *, classes: int, seed: int) -> CopyTest:
    """Count synthetic images that are one picture with a seen one, and unseen real ones that are.

    Where no others are known, one half of the real images is searched for synthetic ones and for the other half: every
    image is one trial.
    """
    from cytobench.benchmarks.steps.near import between

    if unseen is None:
        one, other = selection.halves(seen, classes, seed=seed)
        seen, unseen = seen.taken(one), seen.taken(other)
    found = len({row for row, _ in between(synthetic.pixels, seen.pixels, title="look for copied pictures")})
    usual = len({row for row, _ in between(unseen.pixels, seen.pixels, title="the same among real images")})
    of, of_usual = len(synthetic.pixels), len(unseen.pixels)
    return CopyTest(
        test=NEAR, found=found, of=of, usual=usual / max(of_usual, 1), p=more_than(found, of, usual, of_usual)
    )


def _nearer(seen: Shown, unseen: Shown, synthetic: Shown, extractor: str, *, classes: int, seed: int) -> CopyTest:
    """Count synthetic images to which a seen image lies nearest.

    By chance every real image of a class is nearest to as many: of patients with more images, more is expected.
    """
    sides = exchange.balanced(seen, unseen, classes, seed=seed)
    index = np.concatenate([one.features[extractor] for one in (seen, unseen)])[sides.rows].astype(np.float64)
    codes = np.concatenate([seen.codes, unseen.codes])[sides.rows]
    queries = synthetic.features[extractor].astype(np.float64)
    queries = queries[np.isfinite(queries).all(axis=1)]
    if not len(index) or not len(queries):
        return CopyTest(test=NEARER, extractor=extractor, found=0, of=0, usual=0.5, p=1.0)
    order = np.random.default_rng(seed_for(seed, "ties", extractor)).permutation(len(index))
    nearest = order[nearest_in(queries, index[order])]  # of equally near ones the first, and so a random one
    drawn = np.bincount(nearest, minlength=len(index))  # synthetic images to which each real one is nearest
    chance = (np.bincount(codes, weights=drawn) / np.maximum(np.bincount(codes), 1))[codes]
    was_seen = sides.was_seen[sides.units]
    found, usual = int(drawn[was_seen].sum()), float(chance[was_seen].sum())
    shuffled = exchange.totals(drawn - chance, sides, count=SHUFFLES - 1, seed=seed_for(seed, "shuffles", extractor))
    reached = 1 + int((shuffled >= found - usual - ROUNDING).sum())  # what was seen is one of the shuffles
    share = min(usual / len(queries), 1.0)
    return CopyTest(test=NEARER, extractor=extractor, found=found, of=len(queries), usual=share, p=reached / SHUFFLES)
