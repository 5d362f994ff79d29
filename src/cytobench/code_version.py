"""The version of the code that a step runs: a hash of what can change its outcome, and of nothing else.

Comments, docstrings and formatting do not count, nor do the modules that only speak to people. What a module imports
from cytobench counts, at any depth.
"""

import ast
import functools
import hashlib
import importlib.util
from pathlib import Path

PACKAGE = "cytobench"
RIM = frozenset(
    {f"{PACKAGE}.{name}" for name in ("errors", "progress", "interrupts", "registry", "store", "code_version")}
)


@functools.cache
def code_version(*modules: str) -> str:
    """Return 16 hex digits for the code of some modules and of all that they import from cytobench."""
    texts = {name: _essence(_source(name)) for name in sorted(_closure(frozenset(modules)))}
    return hashlib.sha256(repr(texts).encode()).hexdigest()[:16]


def _closure(modules: frozenset[str]) -> set[str]:
    found: set[str] = set()
    waiting = [name for name in modules if name not in RIM]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += [other for other in _imports(_source(name)) if other not in RIM]
    return found


@functools.cache
def _source(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source for module {name}")
    return Path(spec.origin)


@functools.cache
def _imports(path: Path) -> tuple[str, ...]:
    names: list[str] = []
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue  # for readers and type checkers only
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    ours = [name for name in names if name.startswith(f"{PACKAGE}.")]
    return tuple(name for name in ours if _is_module(name))


@functools.cache
def _is_module(name: str) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return False
    return spec is not None and spec.origin is not None


@functools.cache
def _essence(path: Path) -> str:
    """Return the syntax tree of a source file without docstrings, as text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [line for line in node.body if not _is_text(line)] or [ast.Pass()]
    return ast.dump(tree)


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
