import ast
from pathlib import Path

from cytobench import code_version


def essence(tmp_path: Path, text: str) -> str:
    path = tmp_path / f"m{abs(hash(text))}.py"
    path.write_text(text)
    return code_version._essence(path)


def test_comments_docstrings_and_layout_do_not_count(tmp_path: Path) -> None:
    plain = essence(tmp_path, "def f(x):\n    return x + 1\n")
    assert plain == essence(tmp_path, '"""Text."""\n\n\ndef f(x):  # why\n    """Doc."""\n    return (x + 1)\n')
    assert plain != essence(tmp_path, "def f(x):\n    return x + 2\n")


def test_what_a_module_imports_counts_at_any_depth() -> None:
    closure = code_version._closure(frozenset({"cytobench.datasets.splits"}))
    assert {"cytobench.datasets.scan", "cytobench.datasets.decode", "cytobench.seeds"} <= closure
    assert not closure & code_version.RIM
    assert not any(name.startswith("cytobench.benchmarks") for name in closure)


def test_every_module_of_the_package_can_be_read() -> None:
    root = Path(code_version.__file__).parent
    for path in root.rglob("*.py"):
        assert isinstance(ast.parse(path.read_text(encoding="utf-8")), ast.Module)
