"""Fixtures for everything that needs a real database."""

from tests.support.encoding_site import encoder
from tests.support.filled_database import filled_dsn, reading, writing
from tests.support.fresh_database import database_server, db_lists, db_readers, db_writer, fresh_dsn
from tests.support.inboxes import app, inbox, led
from tests.support.library_sites import library, rest, stack
from tests.support.short_leases import channel, jobs, scheduler
from tests.support.steered import steered, steered_worker, steps
from tests.support.upload_sites import upload_site

__all__ = [
    "app",
    "channel",
    "database_server",
    "db_lists",
    "db_readers",
    "db_writer",
    "encoder",
    "filled_dsn",
    "fresh_dsn",
    "inbox",
    "jobs",
    "led",
    "library",
    "reading",
    "rest",
    "scheduler",
    "stack",
    "steered",
    "steered_worker",
    "steps",
    "upload_site",
    "writing",
]
