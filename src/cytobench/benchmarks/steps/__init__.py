"""The steps of a run: each a frozen specification that knows how to carry itself out."""
