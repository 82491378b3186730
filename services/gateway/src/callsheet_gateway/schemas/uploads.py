"""Uploads as REST has them."""

from typing import Final

from pydantic import Field, JsonValue

from callsheet_gateway.schemas.library import ITEM_EXAMPLE, ItemView
from callsheet_gateway.schemas.shared import Camel, Instant, Question

UPLOAD_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": "0b2f4c1d6a7e4f0f9c1d2e3f4a5b6c7d",
    "root": "uploads",
    "folder": "iceland",
    "filename": "crystal.mp4",
    "path": "iceland/crystal.mp4",
    "collection": "iceland-2025",
    "length": 2_480_123,
    "offset": 2_480_123,
    "complete": True,
    "sha256": "6f1ed002ab5595859014ebf0951522d9a1f1c4b2f9c0d1a2b3c4d5e6f708192a",
    "expiresAt": None,
    "jobIds": ["019aa1f7-6f00-7000-8000-000000000001"],
    "itemId": ITEM_EXAMPLE["id"],
    "item": dict(ITEM_EXAMPLE),
}


class UploadQuestion(Question):
    """How an upload is to be answered."""

    wait: bool = Field(
        default=False, description="Whether the answer to the last piece waits for the pictures."
    )


class UploadView(Camel):
    """An upload."""

    id: str
    root: str
    folder: str = Field(description="Relative to the root; empty for the root itself.")
    filename: str = Field(description="The name that is wanted, made safe.")
    path: str | None = Field(
        description="Where it lies in the root once it is complete; with a number where the name was taken."
    )
    collection: str | None
    length: int = Field(description="Bytes.")
    offset: int = Field(description="Bytes that have arrived.")
    complete: bool = Field(description="Whether it is an original under its name.")
    sha256: str | None = Field(description="Of the whole, in hexadecimal; null while it is not complete.")
    expires_at: Instant | None = Field(
        description="When it is given up if no further byte comes; null once all are there."
    )
    job_ids: list[str] = Field(
        description="The job that reads it, and where the answer waits that of its pictures."
    )
    item_id: str | None = Field(description="null while it is not read, and for what is no media.")
    item: ItemView | None
