"""Both verifiers: they agree, they find a thousand mutations and name the file, and nothing hostile is opened."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cytobench.datasets.frozen import verifier
from cytobench.datasets.frozen.archive import pack
from cytobench.datasets.frozen.identity import parse
from cytobench.datasets.frozen.manifest import IDENTITY, MANIFEST, ROW_HASH, row_hash
from cytobench.datasets.frozen.verify import verify
from cytobench.errors import CytobenchError, DataFault, IntegrityFault, UsageFault
from cytobench.store import canonical
from tests.datasets.frozen.conftest import Freeze, published

Mutation = Callable[[Path, random.Random], str]


def problems(folder: Path) -> tuple[str, ...]:
    """Return what our verifier says; nothing when the set is untouched."""
    try:
        verify(folder)
    except IntegrityFault as fault:
        assert fault.exit_code == 5
        return fault.problems
    return ()


def told(folder: Path, capsys: pytest.CaptureFixture[str], expected: str = "") -> list[str]:
    """Return what the verifier within the set says; nothing when the set is untouched."""
    code = verifier.main(folder, expected)
    lines = capsys.readouterr().out.splitlines()
    assert code == (0 if lines[0].startswith("untouched: ") else 5)
    return lines if code else []


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def flip_a_bit(folder: Path, chance: random.Random) -> str:
    name = chance.choice([one for one in files(folder) if (folder / one).stat().st_size])
    content = bytearray((folder / name).read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    (folder / name).write_bytes(content)
    return name


def edit_a_row(field: str, values: tuple[object, ...]) -> Mutation:
    def mutate(folder: Path, chance: random.Random) -> str:
        lines = (folder / MANIFEST).read_bytes().splitlines(keepends=True)
        images = [n for n, line in enumerate(lines) if n and json.loads(line)["pixel_sha256"]]
        number = chance.choice(images)
        row = json.loads(lines[number])
        row[field] = chance.choice([value for value in values if value != row[field]])
        lines[number] = canonical(row) + b"\n"
        (folder / MANIFEST).write_bytes(b"".join(lines))
        return str(row["path"])

    mutate.__name__ = f"edit_{field}"
    return mutate


def edit_a_row_and_its_hash(folder: Path, chance: random.Random) -> str:
    lines = (folder / MANIFEST).read_bytes().splitlines(keepends=True)
    number = chance.randrange(1, len(lines))
    row = json.loads(lines[number])
    del row[ROW_HASH]
    row["label"] = "forged"
    lines[number] = canonical(row | {ROW_HASH: row_hash(row)}) + b"\n"
    (folder / MANIFEST).write_bytes(b"".join(lines))
    return MANIFEST


def drop_a_row(folder: Path, chance: random.Random) -> str:
    lines = (folder / MANIFEST).read_bytes().splitlines(keepends=True)
    gone = lines.pop(chance.randrange(1, len(lines)))
    (folder / MANIFEST).write_bytes(b"".join(lines))
    return str(json.loads(gone)["path"])


def double_a_row(folder: Path, chance: random.Random) -> str:
    lines = (folder / MANIFEST).read_bytes().splitlines(keepends=True)
    number = chance.randrange(1, len(lines))
    lines.insert(number, lines[number])
    (folder / MANIFEST).write_bytes(b"".join(lines))
    return str(json.loads(lines[number])["path"])


def edit_the_header(folder: Path, chance: random.Random) -> str:
    lines = (folder / MANIFEST).read_bytes().splitlines(keepends=True)
    header = json.loads(lines[0])
    header.update(chance.choice([{"version": 7}, {"name": "other"}, {"supersedes": "noise@v9"}, {"format": "x"}]))
    (folder / MANIFEST).write_bytes(canonical(header) + b"\n" + b"".join(lines[1:]))
    return MANIFEST


def edit_the_identity(folder: Path, chance: random.Random) -> str:
    text = (folder / IDENTITY).read_text()
    edits = [text.replace("noise", "other"), text.replace("@v1", "@v2"), text.strip(), text + "\n", text.upper()]
    (folder / IDENTITY).write_text(chance.choice(edits))
    return IDENTITY


def add_a_file(folder: Path, chance: random.Random) -> str:
    place = chance.choice(["", "images/x-vae/train/baso/", "board/", "new/", ".git/"])
    name = f"{place}{chance.choice(['extra.png', '.hidden', 'Z', 'ü.txt'])}"
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(chance.choice([b"", b"x"]))
    return name


def add_a_folder(folder: Path, chance: random.Random) -> str:
    name = chance.choice(["empty", "images/x-vae/train/third", "board/empty"])
    (folder / name).mkdir()
    return name


def add_a_link(folder: Path, chance: random.Random) -> str:
    (folder / "board/link").symlink_to(chance.choice(["/etc/passwd", ".", "README.md", "nowhere"]))
    return "board/link"


def remove_a_file(folder: Path, chance: random.Random) -> str:
    name = chance.choice(files(folder))
    (folder / name).unlink()
    return name


def empty_a_file(folder: Path, chance: random.Random) -> str:
    name = chance.choice(files(folder))
    (folder / name).write_bytes(b"")
    return name


def rename_a_file(folder: Path, chance: random.Random) -> str:
    name = chance.choice(files(folder))
    (folder / name).rename(folder / f"{name}{chance.choice(['~', '.png', 'x'])}")
    return name


def move_to_another_label_or_part(folder: Path, chance: random.Random) -> str:
    name = chance.choice([one for one in files(folder) if one.startswith("images/")])
    other = name.replace("/baso/", "/eosino phil/") if "/baso/" in name else name.replace("/eosino phil/", "/baso/")
    other = chance.choice([other, name.replace("/train/", "/test/")]).replace(".png", "-.png")
    (folder / name).rename(folder / other)
    return name


def swap_two_images(folder: Path, chance: random.Random) -> str:
    one, other = chance.sample([one for one in files(folder) if one.startswith("images/")], 2)
    first, second = (folder / one).read_bytes(), (folder / other).read_bytes()
    (folder / one).write_bytes(second)
    (folder / other).write_bytes(first)
    return one


def link_instead_of_a_file(folder: Path, chance: random.Random) -> str:
    name = chance.choice(files(folder))
    moved = folder.parent / "moved"
    shutil.copy(folder / name, moved)
    (folder / name).unlink()
    (folder / name).symlink_to(moved)
    return name


HASHES = ("0" * 64, "f" * 64)
MUTATIONS: tuple[Mutation, ...] = (
    flip_a_bit, flip_a_bit, flip_a_bit, flip_a_bit,
    edit_a_row("label", ("baso", "eosino phil")), edit_a_row("split", ("train", "val", "test")),
    edit_a_row("partition", ("a", "b", "")), edit_a_row("sha256", HASHES), edit_a_row("pixel_sha256", HASHES),
    edit_a_row("bytes", (1, 10**30, True, "7")), edit_a_row("generator_run", ("", "generator/0")),
    edit_a_row_and_its_hash, drop_a_row, double_a_row, edit_the_header, edit_the_identity, add_a_file, add_a_folder,
    add_a_link, remove_a_file, empty_a_file, rename_a_file, move_to_another_label_or_part, swap_two_images,
    link_instead_of_a_file,
)  # fmt: skip


@pytest.mark.fault(37, 38, 39)
def test_a_thousand_mutations_are_found_by_both_verifiers_and_the_file_is_named(
    freeze: Freeze, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = freeze().folder
    assert problems(whole) == ()
    assert told(whole, capsys) == []
    chance = random.Random(20261121)
    for number in range(1000):
        folder = tmp_path / "mutated"
        shutil.copytree(whole, folder)
        mutation = MUTATIONS[number % len(MUTATIONS)]
        name = mutation(folder, chance)
        ours, theirs = problems(folder), told(folder, capsys)
        where = f"number {number}, {mutation.__name__}: {name}"
        assert any(name in line for line in ours), f"{where}, ours: {ours}"
        assert any(name in line for line in theirs), f"{where}, theirs: {theirs}"
        shutil.rmtree(folder)
