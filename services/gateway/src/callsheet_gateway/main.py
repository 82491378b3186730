"""Starts the gateway."""

import asyncio
import logging
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from callsheet.acting import RECORDED
from callsheet.client import Client, Patience
from callsheet.errors import UnavailableError
from callsheet.service import logs
from callsheet.service.ops import OpsServer
from callsheet.service.run import read_settings, read_tls, read_token, run
from callsheet_gateway.app import make_app
from callsheet_gateway.assembly import assembled
from callsheet_gateway.routes.health import check_ready
from callsheet_gateway.secret_files import read_secret
from callsheet_gateway.server import listen, serve
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.state import State

log = logging.getLogger(__name__)


def main() -> None:
    """Run the gateway until it is told to stop."""
    settings = read_settings(GatewaySettings)
    logs.configure(settings.log_level)
    sys.exit(run(lambda stop: _main(settings, stop)))


async def _main(settings: GatewaySettings, stop: asyncio.Event) -> int:
    admin_token = read_secret(settings.admin_token_file, "CALLSHEET_ADMIN_TOKEN_FILE")
    patience = Patience(total_s=settings.scheduler_patience_s)
    files = ThreadPoolExecutor(settings.file_threads, thread_name_prefix="files")
    asyncio.get_running_loop().set_default_executor(files)
    token, tls = read_token(settings), read_tls(settings)
    with listen(settings) as listener:
        async with (
            Client(settings.scheduler, token=token, tls=tls, patience=patience, said=RECORDED) as client,
            assembled(settings, client, admin_token) as state,
        ):
            await _serve(state, listener, stop)
    return 0


async def _serve(state: State, listener: socket.socket, stop: asyncio.Event) -> None:
    settings = state.settings
    app = make_app(state)

    async def ready() -> bool:
        try:
            await check_ready(state)
        except UnavailableError:
            return False
        return True

    ops = OpsServer(ready)
    ops_port = await ops.start(settings.ops_host, settings.ops_port)
    port: int = listener.getsockname()[1]
    log.info("listening", extra={"port": port, "ops_port": ops_port, "scheduler": settings.scheduler})
    try:
        if settings.port_file is not None:
            _write_port(settings.port_file, port)
        await serve(app, settings, listener, stop, state.streams)
    finally:
        await ops.stop()


def _write_port(path: Path, port: int) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(f"{port}\n", encoding="ascii")
    partial.replace(path)


if __name__ == "__main__":
    main()
