"""Sphinx configuration."""

from importlib.metadata import version as installed

project = "cytobench"
author = "The cytobench authors"
copyright = "2026, The cytobench authors"
release = version = installed("cytobench")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "boards/*/records/**", "boards/*/runs/**"]
html_theme = "furo"
html_title = "cytobench"
html_static_path = ["_static"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
napoleon_google_docstring = True
nitpicky = False


def write_commands(_app: object) -> None:
    """Write the page of commands from the program itself, so that it can't go stale."""
    from pathlib import Path

    import click

    from cytobench.cli import commands

    def pages(command: click.Command, names: tuple[str, ...], parent: click.Context | None) -> list[str]:
        context = click.Context(command, info_name=names[-1], parent=parent)
        text = [f"## {' '.join(names)}\n", f"```text\n{command.get_help(context)}\n```\n"]
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                text += pages(child, (*names, name), context)
        return text

    body = "\n".join(["# Commands\n", *pages(commands, ("cytobench",), None)])
    Path(__file__).with_name("reference").joinpath("commands.md").write_text(body, encoding="utf-8")


def setup(app: object) -> None:
    """Connect the hook above."""
    app.connect("builder-inited", write_commands)  # type: ignore[attr-defined]
