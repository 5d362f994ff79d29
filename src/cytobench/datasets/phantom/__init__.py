"""Phantom smears: stained blood films drawn from rules, so that everything runs with no data and no network.

They are for trying things out and for tests. A number measured on them says nothing about real cells.
"""

from cytobench.datasets.phantom.draw import CLASSES, Smears, draw, draw_red_cells
from cytobench.datasets.phantom.sites import SITES, Site

__all__ = ["CLASSES", "SITES", "Site", "Smears", "draw", "draw_red_cells"]
