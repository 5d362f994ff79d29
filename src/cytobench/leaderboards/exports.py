"""A board as Markdown, CSV and JSON; a name in it is text and never acts."""

import csv
import html
import io
import re
from typing import Any

from cytobench.leaderboards.results import METRICS, ImageSetSummary, Result, Results
from cytobench.leaderboards.tables import Entry, Table

FORMULA = re.compile(r"^\s*[=+\-@\t\r]")


def to_markdown(table: Table) -> str:
    """Return a GitHub table; names cannot break it or smuggle in markup."""
    lines = [f"### {plain(table.title)}", ""]
    if table.caption:
        lines += [plain(table.caption), ""]
    lines.append("| " + " | ".join(map(plain, table.head)) + " |")
    lines.append("|" + "---|" * len(table.head))
    lines += ["| " + " | ".join(_markdown_entry(one) for one in row) + " |" for row in table.rows]
    return "\n".join(lines) + "\n"


def _markdown_entry(entry: Entry) -> str:
    text = plain(" ".join(filter(None, [entry.text, entry.interval])))
    if entry.mark == "diagonal":
        text = f"**{text}**"
    return text + (f" ({plain(entry.note)})" if entry.note else "")


def plain(text: str) -> str:
    r"""Return text in which nothing means anything to Markdown or HTML.

    >>> plain("<script>|*x*")
    '&lt;script&gt;\\|\\*x\\*'
    """
    return re.sub(r"([\\|*_`\[\]~])", r"\\\1", html.escape(" ".join(text.split()), quote=False))


def to_csv(results: Results) -> str:
    """Return one line for each backbone, source and target, numbers in full precision; nothing acts as a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    limits = [f"{metric}{part}" for metric in METRICS for part in ("", "_low", "_high")]
    names = ("protocol", "profile", "backbone", "source", "source_nature", "target", "target_nature")
    writer.writerow([*names, "same_set", "n", "seeds", "failures", "rank", "below_majority", "absent", *limits])
    natures = {one.name: one.facts.nature for one in (*results.sources, *results.targets)}
    for result in results.entries.values():
        absent = [results.classes[k] for k in result.scores[0].absent] if result.scores else []
        values: list[float | str] = []
        for metric in METRICS:
            found = result.estimates[metric]
            values += ["", "", ""] if found is None else list(found)
        rank = results.rank(result)
        row = [
            *(results.protocol, results.profile, result.backbone),
            *(result.source, natures[result.source], result.target, natures[result.target]),
            *(str(result.source == result.target).lower(), str(result.n), " ".join(map(str, result.seeds))),
            *("; ".join(result.failures), "" if rank is None else str(rank), str(result.below_majority).lower()),
            "; ".join(absent),
        ]
        writer.writerow([*map(neutral, row), *values])
    return text.getvalue()


def neutral(text: str) -> str:
    """Return text that a spreadsheet shows and does not run.

    >>> neutral("=cmd|' /C calc'!A0")
    "'=cmd|' /C calc'!A0"
    """
    return f"'{text}" if FORMULA.match(text) else text


def to_json(results: Results) -> dict[str, Any]:
    """Return everything in full precision, None where a value is not defined."""
    return {
        "schema": 1,
        "protocol": results.protocol,
        "profile": results.profile,
        "classes": list(results.classes),
        "preliminary": results.preliminary,
        "sources": [_set_json(one) for one in results.sources],
        "targets": [_set_json(one) for one in results.targets],
        "entries": [_entry_json(results, one) for one in results.entries.values()],
        "comparisons": [
            {
                **one._asdict(),
                "difference": one.difference._asdict(),
                "differs": one.differs,
            }
            for one in results.comparisons
        ],
        "records": [
            {
                "key": one.key,
                "sha256": one.sha256,
                "backbone": one.facts.backbone.asked,
                "source": one.facts.source.name,
                "target": one.facts.target.name,
                "seed": one.facts.seed,
                "status": one.facts.status,
            }
            for one in results.records
        ],
    }


def _set_json(one: ImageSetSummary) -> dict[str, Any]:
    facts = one.facts.model_dump(mode="json", exclude={"images_train", "images_val", "images_test"})
    return {**facts, "images": one.images, "support": None if one.support is None else list(one.support)}


def _entry_json(results: Results, result: Result) -> dict[str, Any]:
    return {
        "backbone": result.backbone,
        "source": result.source,
        "target": result.target,
        "n": result.n,
        "seeds": list(result.seeds),
        "failures": list(result.failures),
        "rank": results.rank(result),
        "below_majority": result.below_majority,
        "estimates": {metric: None if found is None else found._asdict() for metric, found in result.estimates.items()},
        "confusion": result.counts.tolist(),
        "trials": [
            {
                "seed": seed,
                **scores._asdict(),
                "per_class": {name: one._asdict() for name, one in zip(results.classes, scores.per_class, strict=True)},
                "absent": [results.classes[k] for k in scores.absent],
            }
            for seed, scores in zip(result.seeds, result.scores, strict=True)
        ],
        "records": list(result.keys),
    }
