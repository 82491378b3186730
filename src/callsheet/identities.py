"""Says whom a certificate speaks for: a role and a name, written as a SPIFFE id."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from callsheet.errors import InvalidError

#: The trust domain of every id. Whom to trust is decided by the CA, and a CA serves one Callsheet.
TRUST_DOMAIN: Final = "callsheet"

#: The name that only certificates of schedulers bear; clients look for it, whatever the address is.
SCHEDULER_NAME: Final = "scheduler.callsheet"

#: Names are at most so long, so that a worker's identity made of one stays within its own limit.
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

_ID: Final = re.compile(rf"spiffe://{TRUST_DOMAIN}/([a-z]+)/([A-Za-z0-9._-]+)")


class Role(StrEnum):
    """What a process or person is for Callsheet."""

    SCHEDULER = "scheduler"
    GATEWAY = "gateway"
    WORKER = "worker"
    IMMICH = "immich"
    OPERATOR = "operator"
    CLIENT = "client"


MEANINGS: Final = {
    Role.SCHEDULER: "serves gRPC; the only role that clients connect to",
    Role.GATEWAY: "serves REST, and asks in the name of its callers",
    Role.WORKER: "takes leases under its own name, and tells what it found and made",
    Role.IMMICH: "takes leases for the queues of an Immich server",
    Role.OPERATOR: "a person with the command line, who may do everything but take leases",
    Role.CLIENT: "an application that submits jobs and reads what became of them",
}
"""Each role in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a certificate speaks for."""

    role: Role
    name: str

    @classmethod
    def named(cls, role: Role, name: str) -> Self:
        """Return an identity.

        Raises:
            InvalidError: The name has other characters, or too many.
        """
        if not _NAME.fullmatch(name) or set(name) == {"."}:
            raise InvalidError("a name has 1 to 64 letters, digits, dots, '_' and '-'", field="name")
        return cls(role=role, name=name)

    @property
    def uri(self) -> str:
        """The SPIFFE id, as it stands in a certificate."""
        return f"spiffe://{TRUST_DOMAIN}/{self.role}/{self.name}"

    def may_speak_as(self, worker_id: str) -> bool:
        """Whether a worker with this certificate may call itself so: NAME, or NAME-KIND-CHANCE.

        Neither of the two last parts has a dash, so no name is the beginning of another one's.
        """
        parts = worker_id.rsplit("-", 2)
        return worker_id == self.name or (len(parts) > 2 and parts[0] == self.name)  # noqa: PLR2004 -- three


def parse_identity(uri: str) -> Identity | None:
    """Return the identity that a SPIFFE id names; None where it is none of ours."""
    found = _ID.fullmatch(uri)
    if found is None or found[1] not in set(Role) or not _NAME.fullmatch(found[2]):
        return None
    return Identity(role=Role(found[1]), name=found[2])
