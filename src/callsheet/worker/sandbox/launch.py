"""Gives up rights, then becomes another program.

Started as ``python -I -m callsheet.worker.sandbox.launch PARENT SETTINGS PROGRAM ARGUMENT…``.
"""

import os
import sys
from dataclasses import dataclass

from callsheet.worker.sandbox.rights import Rights, SandboxLimits, confine, die_with_parent, yield_to_others
from callsheet.worker.sandbox.work import codec


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSettings:
    """What stays open to the program."""

    limits: SandboxLimits
    """What it may use up."""
    rights: Rights
    """What it may read, run and change."""
    background: bool = False
    """Whether it yields to everything else on the machine."""


def main() -> None:
    """Confine this process and run the program in it."""
    die_with_parent(int(sys.argv[1]))
    settings = codec(LaunchSettings).validate_json(sys.argv[2])
    if settings.background:
        yield_to_others()
    program = os.open(sys.argv[3], os.O_RDONLY | os.O_CLOEXEC)  # its folders may be closed to nobody
    confine(settings.limits, settings.rights)
    os.execve(program, sys.argv[3:], os.environ)  # noqa: S606 -- no shell is meant


if __name__ == "__main__":
    main()
