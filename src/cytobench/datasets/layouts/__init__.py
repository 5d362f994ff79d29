"""How published sets lie on the disk, and how a user's copy of one is read."""
