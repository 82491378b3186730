"""Speaks with the server of one bucket, by the credentials that hold now, and tells what its answers mean."""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from callsheet.errors import InvalidError
from callsheet.service.settings import BucketSettings
from callsheet.worker.storage.bucket_faults import as_bucket_error, is_missing
from callsheet.worker.storage.bucket_keys import printable
from callsheet.worker.storage.credentials import Credentials, credentials_of
from callsheet.worker.storage.s3_calls import DEADLINE_S, TRIES, RefusedError, S3Calls, SilentError

if TYPE_CHECKING:  # the package says this name to type checkers alone
    from obstore.store import S3Credential

CONNECT_DEADLINE_S: Final = 5.0
"""How long the server may take to take a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    """How to speak with the server, under one set of credentials."""

    credentials: Credentials | None
    objects: S3Store
    calls: S3Calls


class BucketServer:
    """The server of one root."""

    def __init__(self, root: str, settings: BucketSettings) -> None:
        """Take the settings; asks the server nothing yet.

        Raises:
            InvalidError: There are no credentials.
        """
        self._root = root
        self._settings = settings
        self._door = _door(settings, credentials_of(root, settings))
        self._credentials_at = self._changed_at()

    @property
    def objects(self) -> S3Store:
        """What obstore does; use it within `asking`."""
        return self._now().objects

    @property
    def calls(self) -> S3Calls:
        """What obstore does not; use it within `asking`."""
        return self._now().calls

    @contextmanager
    def asking(self, path: str, *, doing: str = "read it") -> Generator[None]:
        """Tell every answer of the server that is no success as the failure that it means for a job.

        Args:
            path: What is asked about, relative to the root; empty for the root itself.
            doing: What the credentials have to allow.

        Raises:
            AttemptError: In place of what obstore and `S3Calls` raise; AlreadyExistsError is let through.
        """
        try:
            yield
        except AlreadyExistsError:
            raise
        except (BaseError, RefusedError, SilentError, FileNotFoundError, ValueError) as error:
            if is_missing(error) and path:
                with self.asking(""):  # or the bucket is missing, and then no file is gone
                    any(True for _ in self.calls.keys(self._settings.prefix, most=1))
            raise as_bucket_error(error, self._root, self._settings, printable(path), doing) from None

    def _now(self) -> _Door:
        changed_at = self._changed_at()
        if changed_at != self._credentials_at:
            with suppress(InvalidError):  # half written; the next call looks again
                credentials = credentials_of(self._root, self._settings)
                if credentials != self._door.credentials:
                    self._door = _door(self._settings, credentials)
                self._credentials_at = changed_at
        return self._door

    def _changed_at(self) -> int:
        path = self._settings.credentials_file
        try:
            return path.stat().st_mtime_ns if path is not None else 0
        except OSError:
            return 0


def _door(settings: BucketSettings, credentials: Credentials | None) -> _Door:
    objects = S3Store(
        settings.bucket,
        endpoint=settings.endpoint or f"https://s3.{settings.region}.amazonaws.com",
        region=settings.region,
        virtual_hosted_style_request=settings.addressing == "host",
        copy_if_not_exists="multipart",
        skip_signature=credentials is None,
        # Given as values they would be mixed with the session token of the environment.
        credential_provider=lambda: _as_obstore_has_them(credentials),
        client_options={
            "allow_http": settings.endpoint.startswith("http://"),
            "timeout": timedelta(seconds=DEADLINE_S),
            "connect_timeout": timedelta(seconds=CONNECT_DEADLINE_S),
        },
        retry_config={"max_retries": TRIES - 1, "retry_timeout": timedelta(seconds=2 * DEADLINE_S)},
    )
    return _Door(credentials=credentials, objects=objects, calls=S3Calls(settings, credentials))


def _as_obstore_has_them(credentials: Credentials | None) -> "S3Credential":
    return {
        "access_key_id": credentials.key_id if credentials else "",
        "secret_access_key": credentials.secret if credentials else "",
        "token": (credentials.session_token or None) if credentials else None,
        "expires_at": None,
    }
