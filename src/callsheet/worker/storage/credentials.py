"""Finds the credentials of a bucket, and shows them to nobody."""

import os
from collections.abc import Mapping
from configparser import ConfigParser, Error
from dataclasses import dataclass, field
from pathlib import Path

from callsheet.errors import InvalidError
from callsheet.service.settings import BucketSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What requests are signed with."""

    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def credentials_of(
    root: str, settings: BucketSettings, environment: Mapping[str, str] = os.environ
) -> Credentials | None:
    """Return the credentials of a root as they are now; None where requests are not signed.

    Raises:
        InvalidError: There are none, or their file cannot be read.
    """
    if settings.anonymous:
        return None
    if settings.credentials_file is not None:
        found = _in_file(root, settings.credentials_file, settings.profile)
    else:
        found = {name.lower(): value for name, value in environment.items() if name.startswith("AWS_")}
    key_id, secret = found.get("aws_access_key_id", ""), found.get("aws_secret_access_key", "")
    if not key_id or not secret:
        place = (
            f"section {settings.profile!r} of {settings.credentials_file}"
            if settings.credentials_file is not None
            else "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
        raise InvalidError(
            f"root {root!r}: has no credentials; put them into {place}, or set anonymous to true",
            field="roots",
        )
    return Credentials(key_id=key_id, secret=secret, session_token=found.get("aws_session_token", ""))


def _in_file(root: str, path: Path, profile: str) -> Mapping[str, str]:
    parser = ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as error:
        raise InvalidError(
            f"root {root!r}: credentials_file {path} cannot be read ({error.strerror})", field="roots"
        ) from None
    except (Error, UnicodeError):  # what it says of a line would show the line
        raise InvalidError(
            f"root {root!r}: credentials_file {path} is none; write [default], then aws_access_key_id = … "
            "and aws_secret_access_key = … on lines of their own",
            field="roots",
        ) from None
    return dict(parser.items(profile)) if parser.has_section(profile) else {}
