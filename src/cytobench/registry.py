"""One registry for every kind of plug-in. A plug-in is one file; nothing else changes when one is added.

A file lies in the room of its kind, in a folder of the same name under a path in ``CYTOBENCH_PLUGINS``, or in an
installed package that announces it as an entry point (group ``cytobench.<kind>``). Python files hold objects decorated
with :func:`plugin`, TOML files are data named by their stem. Names are found by reading, so that listing imports
nothing; a plug-in's code runs when it is named, and not before.
"""

import ast
import difflib
import functools
import hashlib
import importlib
import importlib.util
import os
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cytobench.errors import UsageFault

T = TypeVar("T")

ROOMS = {
    "generator": "generators",
    "backbone": "classifiers/backbones",
    "dataset": "datasets/known",
    "protocol": "benchmarks/protocols",
    "profile": "benchmarks/profiles",
    "executor": "benchmarks/executors",
    "extractor": "benchmarks/fidelity/extractors",
    "level": "composers/levels",
}
"""The folder of each kind, below the package and below every path in ``CYTOBENCH_PLUGINS``."""

_objects: dict[tuple[str, str], Any] = {}


class Found(NamedTuple):
    """Where a plug-in is, as known without running it."""

    kind: str
    name: str
    summary: str
    origin: str
    """The package or folder that brings it."""
    path: Path | None
    """Its file; None for an entry point."""
    target: str
    """What to import: a module, or ``module:object`` for an entry point."""


def plugin(kind: str, name: str) -> Callable[[T], T]:
    """Register an object under a name; the first line of its docstring is its summary in lists.

    >>> @plugin("backbone", "my-net")
    ... def my_net() -> None: "A network of my own."
    """

    def register(thing: T) -> T:
        _objects[kind, name] = thing
        return thing

    return register


def names(kind: str) -> list[str]:
    """Return the names of all plug-ins of a kind, sorted."""
    return sorted(found(kind))


def found(kind: str) -> dict[str, Found]:
    """Return all plug-ins of a kind by name, without importing any.

    Raises:
        UsageFault: Two files or packages claim one name.
    """
    everything = [*_in_folder(kind, Path(__file__).parent / ROOMS[kind], "cytobench")]
    for place in filter(None, os.environ.get("CYTOBENCH_PLUGINS", "").split(os.pathsep)):
        if not Path(place).is_dir():
            raise UsageFault(
                f"CYTOBENCH_PLUGINS names {place}, which is no folder", fix="correct or unset the variable"
            )
        everything += _in_folder(kind, Path(place).resolve() / ROOMS[kind], place)
    everything += _announced(kind)
    by_name: dict[str, Found] = {}
    for one in everything:
        other = by_name.setdefault(one.name, one)
        if other is not one:
            raise UsageFault(
                f"two plug-ins are called {kind} {one.name!r}: "
                f"{other.target} ({other.origin}) and {one.target} ({one.origin})",
                fix="rename or remove one of them",
            )
    return by_name


def load(kind: str, name: str) -> Any:
    """Return a plug-in: the decorated object, or the parsed table of a TOML file.

    Raises:
        UsageFault: No such name (with the nearest ones), or its code can't be imported.
    """
    known = found(kind)
    if name not in known:
        raise unknown(kind, name, known)
    one = known[name]
    try:
        if one.path is not None and one.path.suffix == ".toml":
            return tomllib.loads(one.path.read_text(encoding="utf-8"))
        if one.path is None:
            module, _, attribute = one.target.partition(":")
            thing = importlib.import_module(module)
            return functools.reduce(getattr, attribute.split("."), thing) if attribute else _objects[kind, name]
        _import(one)
    except Exception as error:  # whatever a plug-in's own code raises: only this plug-in is out of use
        raise UsageFault(
            f"{kind} {name!r} of {one.origin} can't be used: {type(error).__name__}: {error}",
            fix=f"mend {one.path or one.target}, or choose another {kind}",
        ) from error
    return _objects[kind, name]


def module_of(kind: str, name: str) -> str:
    """Return the importable name of the module that holds a plug-in (loaded if need be), for its code version."""
    load(kind, name)
    return found(kind)[name].target.partition(":")[0]


def unknown(kind: str, name: str, allowed: "dict[str, Any] | list[str]") -> UsageFault:
    """Return the fault for a name that is not there, with the names that look like it."""
    near = difflib.get_close_matches(name, list(allowed), n=3, cutoff=0.5)
    meant = f"; did you mean {' or '.join(repr(one) for one in near)}?" if near else ""
    return UsageFault(f"there is no {kind} {name!r}{meant}", fix=f"`cytobench list {kind}s` shows what there is")


def _import(one: Found) -> None:
    if one.origin == "cytobench":
        importlib.import_module(one.target)
    elif one.target not in sys.modules:
        assert one.path is not None
        spec = importlib.util.spec_from_file_location(one.target, one.path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[one.target] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[one.target]
            raise


def _in_folder(kind: str, folder: Path, origin: str) -> list[Found]:
    if not folder.is_dir():
        return []
    room = ROOMS[kind].replace("/", ".")
    place = hashlib.sha256(str(folder).encode()).hexdigest()[:8]  # two folders may hold files of one name
    prefix = f"cytobench.{room}" if origin == "cytobench" else f"cytobench_plugins_{place}.{room}"
    results: list[Found] = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".toml" and path.is_file():
            results.append(Found(kind, path.stem, _title(path), origin, path, path.stem))
        elif path.suffix == ".py" and path.is_file():
            stat = path.stat()
            try:
                decorated = _decorated(path, stat.st_mtime_ns)
            except (SyntaxError, ValueError) as error:  # only this file is out of use; loading it gives the reason
                decorated = ((kind, path.stem, f"can't be read: {error}"),)
            results += [
                Found(kind, name, summary, origin, path, f"{prefix}.{path.stem}")
                for of_kind, name, summary in decorated
                if of_kind == kind
            ]
    return results


@functools.cache
def _decorated(path: Path, _mtime_ns: int) -> tuple[tuple[str, str, str], ...]:
    """Return (kind, name, summary) of every decorated object of a file, by reading its syntax tree."""
    text = path.read_text(encoding="utf-8")
    if "@plugin(" not in text:
        return ()
    results = []
    for node in ast.parse(text).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "plugin":
                given = [*call.args, *(keyword.value for keyword in call.keywords)]
                words = [str(argument.value) for argument in given if isinstance(argument, ast.Constant)]
                if len(words) == 2:
                    results.append((words[0], words[1], (ast.get_docstring(node) or "").split("\n")[0]))
    return tuple(results)


def _title(path: Path) -> str:
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("title", ""))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return f"can't be read: {error}"


def _announced(kind: str) -> list[Found]:
    return [
        Found(kind, point.name, "", point.dist.name if point.dist else "?", None, point.value)
        for point in entry_points(group=f"cytobench.{kind}")
    ]
