"""Tells what an error of the database means for what was to be written."""

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from typing import Final

from asyncpg import exceptions

from callsheet_scheduler.store.connection import LOST_CONNECTION

#: The data is at fault, and nothing was written.
REFUSED: Final = (
    exceptions.DataError,
    exceptions.IntegrityConstraintViolationError,
    exceptions.ProgramLimitExceededError,
    exceptions.UntranslatableCharacterError,
)

#: Others were in the way, or it took too long. Nothing was written; again, it may succeed.
CONTENDED: Final = (
    exceptions.TransactionRollbackError,
    exceptions.LockNotAvailableError,
    exceptions.QueryCanceledError,
)

#: The database is out of disk or memory. Nothing was written.
EXHAUSTED: Final = (exceptions.InsufficientResourcesError,)

#: Of those above: the connection itself was not given, or has ended.
NOT_SERVED: Final = (exceptions.TooManyConnectionsError,)


class StoreError(Exception):
    """The root of what can become of a write, other than success. *str()* is one line."""


class RefusedError(StoreError):
    """The data is at fault; nothing was written."""


class ContendedError(StoreError):
    """Nothing was written; again, or in smaller parts, it may succeed."""


class ExhaustedError(StoreError):
    """Nothing was written; the database can take nothing more for a while."""


class DisagreementError(StoreError):
    """The tables are not what the engine holds them to be; the leadership has to begin again."""


class WithdrawnError(StoreError):
    """Rows of the inbox are not there any more, or are being changed; nothing was written."""

    def __init__(self, numbers: Collection[int]) -> None:
        super().__init__(f"rows of the inbox were withdrawn: {sorted(numbers)}")
        self.numbers = frozenset(numbers)


class OutcomeUnknownError(StoreError):
    """Whether it was written is not known."""


def reason_of(error: BaseException) -> str:
    """Return one line for a person."""
    return str(error).split("\n", 1)[0] or type(error).__name__


@asynccontextmanager
async def sorted_errors() -> AsyncGenerator[None]:
    """Raise what goes wrong inside as one of the errors above."""
    try:
        yield
    except NOT_SERVED as error:
        raise OutcomeUnknownError(reason_of(error)) from error
    except REFUSED as error:
        raise RefusedError(reason_of(error)) from error
    except CONTENDED as error:
        raise ContendedError(reason_of(error)) from error
    except EXHAUSTED as error:
        raise ExhaustedError(reason_of(error)) from error
    except exceptions.AssertError as error:
        raise DisagreementError(reason_of(error)) from error
    except LOST_CONNECTION as error:
        raise OutcomeUnknownError(reason_of(error)) from error
