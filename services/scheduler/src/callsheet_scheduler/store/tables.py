"""The columns that lists filter and sort by, as SQLAlchemy knows them; the migrations make the tables."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

_METADATA: Final = sa.MetaData()


def _jobs(name: str) -> sa.Table:
    return sa.Table(
        name,
        _METADATA,
        sa.Column("id", UUID(as_uuid=False)),
        sa.Column("type", sa.Text),
        sa.Column("category", sa.SmallInteger),
        sa.Column("params", sa.JSON),
        sa.Column("state", sa.SmallInteger),
        sa.Column("error", sa.Text),
        sa.Column("parent_id", UUID(as_uuid=False)),
        sa.Column("collection", sa.Text),
        sa.Column("submitted_by", sa.Text),
    )


JOB_LIVE: Final = _jobs("job_live")
JOB_DONE: Final = _jobs("job_done")
LIBRARY_ITEM: Final = sa.Table(
    "library_item",
    _METADATA,
    sa.Column("id", UUID(as_uuid=False)),
    sa.Column("root", sa.Text),
    sa.Column("path", sa.Text),
    sa.Column("kind", sa.SmallInteger),
    sa.Column("state", sa.SmallInteger),
    sa.Column("identity", sa.Text),
    sa.Column("width", sa.BigInteger),
    sa.Column("height", sa.BigInteger),
    sa.Column("duration_s", sa.Double),
    sa.Column("extra", sa.JSON),
    sa.Column("collection", sa.Text),
)
LIBRARY_TAG: Final = sa.Table(
    "library_tag",
    _METADATA,
    sa.Column("item_id", UUID(as_uuid=False)),
    sa.Column("tag", sa.Text),
    sa.Column("source_identity", sa.Text),
)
