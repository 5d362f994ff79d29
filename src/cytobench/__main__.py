"""Run the command line with ``python -m cytobench``."""

from cytobench.cli import main

if __name__ == "__main__":
    main()
