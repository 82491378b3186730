"""Starts the gateway."""

import asyncio
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from typing_extensions import override

from callsheet.client import Client, Patience
from callsheet.errors import InvalidError
from callsheet.service import logs
from callsheet.service.run import read_settings, read_token, run
from callsheet_gateway.app import make_app
from callsheet_gateway.auth import TOKEN_CHARACTERS_MIN
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.state import State

log = logging.getLogger(__name__)

#: Seconds that requests under way have to end when the gateway stops.
GRACE_S = 3


def main() -> None:
    """Run the gateway until it is told to stop."""
    settings = read_settings(GatewaySettings)
    logs.configure(settings.log_level)
    sys.exit(run(lambda stop: _main(settings, stop)))


async def _main(settings: GatewaySettings, stop: asyncio.Event) -> int:
    async with Client(
        settings.scheduler, token=read_token(settings), patience=Patience(total_s=5.0)
    ) as client:
        app = make_app(State(client=client, settings=settings), _admin_token(settings))
        host, _, port = settings.listen.rpartition(":")
        server = _Server(
            uvicorn.Config(
                app,
                host=host,
                port=int(port),
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
                h11_max_incomplete_event_size=64 * 1024,
            ),
        )
        serving = asyncio.create_task(_serve(server))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        server.should_exit = True
        return await serving


class _Server(uvicorn.Server):
    """Leaves the signals to us."""

    @override
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def _serve(server: uvicorn.Server) -> int:
    try:
        await server.serve()
    except SystemExit:
        sys.stderr.write(f"cannot listen on {server.config.host}:{server.config.port}: the port is taken\n")
        return 2
    return 0


def _admin_token(settings: GatewaySettings) -> str:
    try:
        token = settings.admin_token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        message = f"CALLSHEET_ADMIN_TOKEN_FILE cannot be read: {error}"
        raise InvalidError(message) from error
    if len(token) < TOKEN_CHARACTERS_MIN:
        message = (
            f"the token in {settings.admin_token_file} is shorter than {TOKEN_CHARACTERS_MIN} characters"
        )
        raise InvalidError(message)
    return token


if __name__ == "__main__":
    main()
