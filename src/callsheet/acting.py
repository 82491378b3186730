"""What a caller says of itself with every call over gRPC, for the audit trail."""

import getpass
import os
from typing import Final

ACTOR_KEY: Final = "callsheet-actor"
"""Who acts, as the caller calls itself."""
RECORDED_KEY: Final = "callsheet-recorded"
"""Said by a caller that puts on record itself what it does for others."""
ACTOR_MAX: Final = 100

Said = tuple[tuple[str, str], ...]


def acting_as(actor: str) -> Said:
    """Return what is said by a caller with this name; characters that no header can hold become ``?``."""
    shown = "".join(one if " " <= one <= "~" else "?" for one in actor[:ACTOR_MAX]).strip()
    return ((ACTOR_KEY, shown),) if shown else ()


RECORDED: Final[Said] = ((RECORDED_KEY, "yes"),)


def me() -> str:
    """Return what somebody is called who runs a command on this machine."""
    try:
        return f"cli:{getpass.getuser()}"[:ACTOR_MAX]
    except (KeyError, OSError):  # in a container a user may have no name
        return f"cli:{os.getuid()}"
