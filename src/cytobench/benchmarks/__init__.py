"""Experiments as data, their plan, and the runner that carries them out."""
