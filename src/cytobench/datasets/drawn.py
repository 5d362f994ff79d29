"""Tell pictures that a generator drew from photographs, by what cytobench writes into them."""

from pathlib import Path

from PIL import Image

from cytobench.datasets.decode import DRAWN_BY, FORMATS
from cytobench.datasets.scan import Survey


def as_drawn(found: Survey) -> Survey:
    """Return a survey whose pictures are marked as synthetic, if every one says that it was drawn.

    Drawn pictures among photographs stay as they are, so that the scan refuses them.
    """
    if found.listing.arrays is not None or not found.listing.entries:
        return found
    if not all(_says_so(found.root / entry.file) for entry in found.listing.entries):
        return found
    entries = tuple(entry._replace(origin="synthetic") for entry in found.listing.entries)
    return found._replace(listing=found.listing._replace(entries=entries))


def _says_so(path: Path) -> bool:
    try:
        with Image.open(path, formats=FORMATS) as image:  # the header alone
            return DRAWN_BY in image.info
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False  # the scan says what is wrong with it
