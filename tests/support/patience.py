"""How long tests wait for what ought to happen."""

from typing import Final

PATIENCE_S: Final = 120.0
"""Far longer than anything takes on a machine that others use too: only a fault has a test wait it out."""
