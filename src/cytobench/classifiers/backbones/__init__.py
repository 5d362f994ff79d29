"""One file per family of backbones; each function decorated with ``plugin`` is an alias."""
