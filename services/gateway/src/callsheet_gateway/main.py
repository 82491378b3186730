"""Starts the gateway."""

import asyncio
import logging
import socket
import stat
import sys
from pathlib import Path
from typing import Final

from callsheet.client import Client, Patience
from callsheet.errors import InvalidError, UnavailableError
from callsheet.service import logs
from callsheet.service.clock import SystemClock
from callsheet.service.ops import OpsServer
from callsheet.service.run import read_settings, read_token, run
from callsheet.worker.library import Roots
from callsheet_gateway.app import make_app
from callsheet_gateway.auth import Credentials
from callsheet_gateway.border import Border
from callsheet_gateway.making import Making
from callsheet_gateway.routes.health import check_ready
from callsheet_gateway.server import listen, serve
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.state import State
from callsheet_gateway.views import Views

log = logging.getLogger(__name__)

TOKEN_CHARACTERS_MIN: Final = 32
"""The shortest token that is accepted as the administrator's."""


def main() -> None:
    """Run the gateway until it is told to stop."""
    settings = read_settings(GatewaySettings)
    logs.configure(settings.log_level)
    sys.exit(run(lambda stop: _main(settings, stop)))


async def _main(settings: GatewaySettings, stop: asyncio.Event) -> int:
    credentials = Credentials(read_admin_token(settings.admin_token_file))
    patience = Patience(total_s=settings.scheduler_patience_s)
    with listen(settings) as listener:
        async with Client(settings.scheduler, token=read_token(settings), patience=patience) as client:
            making = Making(client, wait_s=settings.miss_wait_s, wishes_max=settings.misses_max)
            views = Views(client, every_s=settings.views_told_s)
            state = State(
                settings=settings,
                credentials=credentials,
                client=client,
                roots=Roots(settings.roots),
                making=making,
                views=views,
            )
            try:
                await _serve(state, listener, stop)
            finally:
                await making.close()
                await views.close()
    return 0


async def _serve(state: State, listener: socket.socket, stop: asyncio.Event) -> None:
    settings = state.settings
    app = Border(make_app(state), body_bytes_max=settings.body_bytes_max, clock=SystemClock())

    async def ready() -> bool:
        try:
            await check_ready(state)
        except UnavailableError:
            return False
        return True

    ops = OpsServer(ready)
    ops_port = await ops.start("127.0.0.1", settings.ops_port)
    port: int = listener.getsockname()[1]
    log.info("listening", extra={"port": port, "ops_port": ops_port, "scheduler": settings.scheduler})
    try:
        if settings.port_file is not None:
            _write_port(settings.port_file, port)
        await serve(app, settings, listener, stop)
    finally:
        await ops.stop()


def read_admin_token(path: Path) -> str:
    """Return the administrator's token.

    Raises:
        InvalidError: It cannot be read or is too short.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
        readable_by_others = bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except (OSError, UnicodeError) as error:
        raise InvalidError(f"CALLSHEET_ADMIN_TOKEN_FILE cannot be read: {error}") from error
    if len(token) < TOKEN_CHARACTERS_MIN:
        raise InvalidError(
            f"the token in {path} is too short: write {TOKEN_CHARACTERS_MIN} random characters or more"
        )
    if readable_by_others:
        log.warning(
            "others may read the administrator's token; give its file mode 0600", extra={"file": str(path)}
        )
    return token


def _write_port(path: Path, port: int) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(f"{port}\n", encoding="ascii")
    partial.replace(path)


if __name__ == "__main__":
    main()
