"""Loads the SQL statements, one file each."""

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """Return the text of ``sql/<name>.sql``.

    Raises:
        FileNotFoundError: There is no such statement.
    """
    return (files("callsheet_scheduler.store") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
