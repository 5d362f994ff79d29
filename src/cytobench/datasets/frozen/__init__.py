"""Frozen benchmark sets: written once, named by the hash of all that is in them, proven untouched when used."""
