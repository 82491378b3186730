"""Finds the scheduler: by option, by environment, or by the file that ``callsheet up`` leaves."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from callsheet.acting import Said
from callsheet.client import Client, Patience
from callsheet.errors import InvalidError, UnavailableError
from callsheet.tls import TlsFolder

FILE_NAME: Final = "connection.json"

#: Bytes of a token file or connection file that are read at most.
FILE_BYTES_MAX: Final = 64 * 1024


class ConnectionFile(BaseModel):
    """What ``callsheet up`` says of itself in ``DATA/connection.json``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    scheduler: str
    """The gRPC address, host:port."""
    gateway: str = ""
    """The address of the REST interface."""
    join_token_file: Path | None = None
    """The file with the token; relative to the data folder, or absolute."""
    roots: dict[str, Path] = {}
    """Where the roots lie on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach a scheduler."""

    scheduler: str
    token: str | None = field(default=None, repr=False)
    tls: TlsFolder | None = None
    roots: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """Where its roots lie on this machine; empty where that is not known."""

    @asynccontextmanager
    async def client(self, patience: Patience, said: Said = ()) -> AsyncGenerator[Client]:
        """Give a client; where the scheduler cannot be reached and TLS is why, the error says so."""
        async with Client(
            self.scheduler, token=self.token, tls=self.tls, patience=patience, said=said
        ) as client:
            try:
                yield client
            except UnavailableError:
                if trouble := await client.trouble():
                    raise UnavailableError(trouble) from None
                raise


def find_connection(
    *, scheduler: str | None, join_token_file: Path | None, data: Path, tls_dir: Path | None = None
) -> Connection:
    """Return the connection that the options name, else that of the file in *data*.

    The token of the file is only ever shown to the scheduler of the same file, and the certificate of
    *tls_dir* to one that is named.

    Raises:
        UnavailableError: No scheduler is named and there is no file.
        InvalidError: A file cannot be read or says nothing sensible.
    """
    if scheduler:
        tls = None if tls_dir is None else TlsFolder(tls_dir)
        return Connection(scheduler=scheduler, token=_token(join_token_file), tls=tls)
    known = _connection_file(data)
    token_file = join_token_file or (known.join_token_file and data / known.join_token_file)
    return Connection(scheduler=known.scheduler, token=_token(token_file), roots=known.roots)


def _connection_file(data: Path) -> ConnectionFile:
    path = data / FILE_NAME
    try:
        return ConnectionFile.model_validate_json(_text(path))
    except FileNotFoundError:
        raise UnavailableError(
            f"no scheduler is named and there is no {path}: start one with `callsheet up`, "
            "name its folder with --data, or its address with --scheduler"
        ) from None
    except OSError as error:
        raise InvalidError(f"{path} cannot be read: {error.strerror}", field="--data") from None
    except (ValidationError, UnicodeError):
        raise InvalidError(
            f"{path} is not what `callsheet up` writes: start it again, or use --scheduler", field="--data"
        ) from None


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        token = _text(path).strip()
    except OSError as error:
        raise InvalidError(
            f"the token file {path} cannot be read: {error.strerror}", field="--join-token-file"
        ) from None
    except UnicodeError:
        token = ""
    if not token.isascii() or not token.isprintable() or " " in token or not token:
        raise InvalidError(f"the token file {path} holds no token", field="--join-token-file")
    return token


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(FILE_BYTES_MAX).decode("utf-8")
