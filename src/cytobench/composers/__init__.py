"""Scenes from cells: placement, rendering, levels."""
