"""A scan's report as text for people; the profile on the disk holds everything."""

from collections.abc import Mapping, Sequence
from typing import Any

SHOWN = 10  # findings of a kind


def described(name: str, report: Mapping[str, Any]) -> str:
    """Return a scan report as text for people."""
    looks = report["looks"]
    near = [
        f"{one['first']} ~ {one['second']} ({one['similarity']:.3f})"
        + (" with two labels" if one["two_labels"] else "")
        for one in sorted(report["near_copies"], key=lambda one: not one["two_labels"])
    ]
    lines = [
        f"{name}: {report['images']} images",
        f"  {'class':<26}{'images':>7}  {'red green blue':<18}{'light':>12}{'contrast':>13}{'focus':>13}",
        *(_line(label, one) for label, one in {**looks["classes"], "all": looks["all"]}.items()),
        f"  sizes: {', '.join(f'{size} ({count})' for size, count in report['sizes'].items())}"
        + (f" and {report['different_sizes'] - 5} more" if report["different_sizes"] > 5 else ""),
        *(f"  converted: {note} ({count})" for note, count in report["converted"].items()),
        f"  groups: {report['groups'] or 'none given; a split will be image-level'}",
        f"  files of the operating system passed over: {report['ignored_files']}",
        *(f"  note: {note}" for note in report["notes"]),
        *_listed("pictures that are there more than once", [" = ".join(files) for files in report["duplicates"]]),
        *_listed("pictures with two labels", [" = ".join(files) for files in report["contradictions"]]),
        *_listed("near-copies (turned, mirrored, resized, compressed, shifted)", near),
        *(
            line
            for what in ("nearly black", "nearly white", "far less sharp than the rest")
            for line in _listed(what, looks[what])
            if looks[what]
        ),
        f"  examples: {report['examples']}",
        f"  everything: {report['profile']}",
    ]
    return "\n".join(lines)


def _line(label: str, one: Mapping[str, Any]) -> str:
    colour = " ".join(f"{value:5.1f}" for value in one["colour"])
    (light, light_sd), (contrast, contrast_sd), (focus, focus_sd) = one["light"], one["contrast"], one["focus"]
    measured = (f"{light:.1f} ± {light_sd:.1f}", f"{contrast:.1f} ± {contrast_sd:.1f}", f"{focus:.2f} ± {focus_sd:.2f}")
    return f"  {label:<26}{one['images']:>7}  {colour}" + "".join(f"{text:>13}" for text in measured)


def _listed(what: str, found: Sequence[str]) -> list[str]:
    more = [f"    … and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return [f"  {what}: {len(found)}", *(f"    {one}" for one in found[:SHOWN]), *more]
