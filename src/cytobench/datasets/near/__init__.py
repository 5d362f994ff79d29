"""Near-duplicates: one picture twice, and how such pairs are found among all."""
