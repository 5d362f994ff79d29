"""cytobench: synthetic blood-cell image sets, and honest numbers on what they are worth."""

__version__ = "0.1.0"
