"""What draws new cells: one file per generator, one contract for all."""
