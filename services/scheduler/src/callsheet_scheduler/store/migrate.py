"""Brings the tables up to date: numbered SQL files, forward only, each in a transaction of its own."""

from importlib.resources import files
from typing import Final

import asyncpg

#: The advisory key that keeps two processes from migrating at once.
MIGRATION_KEY: Final = 0x63_61_6C_6C_30

#: How long a migration waits for a table that is in use. Others queue up behind it meanwhile.
TABLE_WAIT_S: Final = 10

#: Another process may be migrating, and that may take its time.
MIGRATION_SETTINGS: Final = {
    "application_name": "callsheet-migration",
    "statement_timeout": "1h",
    "lock_timeout": "1h",
    "idle_in_transaction_session_timeout": "30s",
}


def migrations() -> list[tuple[int, str, str]]:
    """Return number, name and text of every migration, in order."""
    folder = files("callsheet_scheduler.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), name, (folder / name).read_text(encoding="utf-8")) for name in names]


async def migrate(dsn: str) -> list[str]:
    """Apply the migrations that are missing and return their names."""
    connection = await asyncpg.connect(dsn, timeout=10.0, server_settings=MIGRATION_SETTINGS)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_KEY)
        await connection.execute(f"SET lock_timeout = '{TABLE_WAIT_S}s'")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration "
            "(number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
        )
        done = {row["number"] for row in await connection.fetch("SELECT number FROM schema_migration")}
        missing = [migration for migration in migrations() if migration[0] not in done]
        for number, name, text in missing:
            async with connection.transaction():
                await connection.execute(text)
                await connection.execute(
                    "INSERT INTO schema_migration (number, name) VALUES ($1, $2)",
                    number,
                    name,
                )
        return [name for _, name, _ in missing]
    finally:
        await connection.close()
