"""How pictures are fitted to a model; apart from manifests, so that decode children start without them."""

from enum import StrEnum


class Resize(StrEnum):
    """How a picture of any shape becomes one of the model's."""

    COVER = "cover"
    """Scaled until it covers the size, then cut at the middle."""
    FIT = "fit"
    """Scaled until it fits, on black."""
    STRETCH = "stretch"
    """Scaled to the size, whatever that does to its shape."""
