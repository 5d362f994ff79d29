"""What a reader must know before the figures of synthetic sets."""

from collections.abc import Sequence

from cytobench.leaderboards.fidelity import FidelityRecord


def of_fidelity(measured: Sequence[FidelityRecord], *, alone: bool) -> list[str]:
    """Return warnings about what was measured.

    Args:
        measured: The records.
        alone: Whether nothing else is on the board, so that what it says of its sets is said here.
    """
    facts = [one.facts for one in measured]
    found = []
    seen = {one.synthetic: one for one in facts if one.reference_seen}
    if seen:
        counts = dict.fromkeys(f"{one.reference_seen:,}" for one in seen.values())
        found.append(
            f"The generators of {', '.join(seen)} learned from {' or '.join(counts)} of the very real images that they "
            "are compared with: one that repeats them would score best. Such a distance says nothing of new cells."
        )
    apart = {one.synthetic: one for one in facts for line in one.lines if line.floor_n is not None}
    if apart:
        found.append(
            f"There are too few real images for a floor at the same n: {', '.join(apart)}. A Fréchet distance of fewer "
            "images is larger, so that this floor may lie above what it is the floor of; KID does not depend on n."
        )
    if alone:
        trainings: dict[str, int] = {}
        for one in facts:
            trainings[one.synthetic] = trainings.get(one.synthetic, 0) + 1
        single = [name for name, count in trainings.items() if count == 1]
        if single:
            found.append(f"Preliminary: {', '.join(single)} come from one training only. They are not ranked.")
        drawn = {
            one.generator.trained_on
            for one in facts
            if one.generator is not None and one.generator.nature_of_training == "phantom"
        }
        if drawn:
            found.append(f"Phantom images are drawn, not photographs of patients: {', '.join(sorted(drawn))}.")
    return found
