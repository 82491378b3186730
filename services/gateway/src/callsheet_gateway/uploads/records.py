"""What is known of an upload, and what is to be done with it; values alone."""

from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from callsheet_gateway.uploads.names import hidden_name

ID_PATTERN: Final = r"^[0-9a-f]{32}$"
GRACE: Final = timedelta(minutes=1)
"""How long whoever makes or ends an upload may take over one step of it."""


class Record(BaseModel):
    """An upload as it is written down beside the others of its root."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=ID_PATTERN)
    folder: str
    """Relative to the root."""
    name: str
    """The one that is wanted."""
    length: int = Field(ge=0)
    """Bytes."""
    metadata: str
    """Upload-Metadata as it was sent."""
    collection: str = ""
    wait: bool = False
    """Whether the last answer waits for the pictures."""
    created_at: datetime
    by: str = ""
    """Who made it."""
    scan_job_id: str
    """Of the job that will make it an item."""
    pictures_job_id: str
    """Of the job that will make its pictures, where somebody waits for them."""
    path: str = ""
    """Where it lies, or is about to be put, relative to the root."""
    sha256: str = ""
    """Of the whole, in hexadecimal."""

    @property
    def hidden_path(self) -> str:
        """Where the bytes lie while they arrive."""
        return self.at(hidden_name(self.name, self.id))

    def at(self, name: str) -> str:
        """Return the path of a name in the upload's folder."""
        return f"{self.folder}/{name}" if self.folder else name


class Standing(Enum):
    """How far an upload is."""

    OPEN = auto()
    """Bytes are missing."""
    WHOLE = auto()
    """All bytes are there, under the hidden name."""
    PLACED = auto()
    """It has its name; whether it is an item is the scheduler's to know."""
    LOST = auto()
    """Its bytes are gone."""
    EXPIRED = auto()
    """Nothing came for too long."""


def standing(
    record: Record, size: int | None, *, changed_at: datetime, now: datetime, ttl_s: float
) -> Standing:
    """Say how far an upload is.

    Args:
        record: What is written down.
        size: Bytes under the hidden name; None where there is no such file.
        changed_at: When the last of them came; for no file when the upload was made.
        now: The instant.
        ttl_s: How long an upload may be without a new byte.
    """
    if size is None:
        if record.path:
            return Standing.PLACED
        return Standing.OPEN if now - record.created_at < GRACE else Standing.LOST
    if size >= record.length:
        return Standing.WHOLE
    return Standing.EXPIRED if now >= expires_at(changed_at, ttl_s) else Standing.OPEN


def expires_at(changed_at: datetime, ttl_s: float) -> datetime:
    """Return when an upload is given up if no further byte comes."""
    return changed_at + timedelta(seconds=ttl_s)
