"""Gives up rights, then becomes another program.

Started as ``python -I -m callsheet.worker.launch PARENT SETTINGS PROGRAM ARGUMENT…``.
"""

import os
import sys
from dataclasses import dataclass

from callsheet.worker.sandbox import Rights, SandboxLimits, confine, die_with_parent
from callsheet.worker.work import codec


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSettings:
    """What stays open to the program."""

    limits: SandboxLimits
    """What it may use up."""
    rights: Rights
    """What it may read, run and change."""


def main() -> None:
    """Confine this process and run the program in it."""
    die_with_parent(int(sys.argv[1]))
    settings = codec(LaunchSettings).validate_json(sys.argv[2])
    confine(settings.limits, settings.rights)
    os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606 -- no shell is meant


if __name__ == "__main__":
    main()
