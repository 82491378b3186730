"""Every session with the database has the settings that guard its plans and its patience."""

import asyncpg
import pytest
from callsheet_scheduler.store.migrate import MIGRATION_SETTINGS
from callsheet_scheduler.store.pool import (
    MAINTAINER_SETTINGS,
    READER_SETTINGS,
    WRITER_SETTINGS,
    check_settings,
    open_maintainer,
)
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from callsheet.errors import UnavailableError


@pytest.mark.parametrize(
    "settings", [WRITER_SETTINGS, MAINTAINER_SETTINGS, READER_SETTINGS, MIGRATION_SETTINGS]
)
def test_nothing_waits_for_ever(settings: dict[str, str]) -> None:
    limits = {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"}
    assert limits <= settings.keys()
    assert all(settings[name][0] in "123456789" for name in limits)


async def test_sessions_have_their_settings(
    fresh_dsn: str, db_writer: asyncpg.Connection, db_readers: asyncpg.Pool, db_lists: AsyncEngine
) -> None:
    await check_settings(db_writer, WRITER_SETTINGS)
    maintainer = await open_maintainer(fresh_dsn)
    await check_settings(maintainer, MAINTAINER_SETTINGS)
    await maintainer.close()
    async with db_readers.acquire() as reader:
        for name, value in READER_SETTINGS.items():
            assert await reader.fetchval("SELECT current_setting($1)", name) == value
    async with db_lists.connect() as listing:
        for name, value in READER_SETTINGS.items():
            asked = await listing.execute(text("SELECT current_setting(:name)"), {"name": name})
            assert asked.scalar_one() == value


async def test_role_cannot_take_the_settings_of_a_writer_away(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    name: str = await db_writer.fetchval("SELECT current_database()")
    await db_writer.execute(f"ALTER DATABASE {name} SET plan_cache_mode = 'force_custom_plan'")
    plain = await asyncpg.connect(fresh_dsn, ssl=False)
    with pytest.raises(UnavailableError, match="plan_cache_mode = force_custom_plan"):
        await check_settings(plain, {"plan_cache_mode": WRITER_SETTINGS["plan_cache_mode"]})
    await plain.close()
    ours = await asyncpg.connect(fresh_dsn, ssl=False, server_settings=WRITER_SETTINGS)
    await check_settings(ours, WRITER_SETTINGS)
    await ours.close()
