"""Puts the application together."""

from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from typing_extensions import override

from callsheet.service.clock import SystemClock
from callsheet_gateway.border import Border
from callsheet_gateway.openapi import DESCRIPTION, document
from callsheet_gateway.problems import add_handlers
from callsheet_gateway.routes import (
    actions,
    async_tasks,
    audit,
    cache,
    collections,
    derivatives,
    docs,
    events,
    gpus,
    health,
    immich,
    items,
    job_types,
    jobs,
    keys,
    metadata,
    page,
    queues,
    roots,
    schedules,
    session,
    stream,
    thumbnail,
    upload,
    videos,
    workers,
)
from callsheet_gateway.state import State

ROUTERS: Final = (
    actions.router,
    events.router,
    jobs.router,
    job_types.router,
    queues.router,
    schedules.router,
    immich.router,
    collections.router,
    workers.router,
    gpus.router,
    metadata.router,
    thumbnail.router,
    cache.router,
    items.router,
    videos.router,
    derivatives.router,
    stream.router,
    roots.router,
    session.router,
    keys.router,
    audit.router,
    upload.router,
    health.router,
    async_tasks.router,
    docs.router,
    page.router,
)


class Application(FastAPI):
    """FastAPI with our description of it."""

    @override
    def openapi(self) -> dict[str, Any]:
        """Return the complete OpenAPI document, made at the first call."""
        if self.openapi_schema is None:
            generated = get_openapi(
                title=self.title,
                version=self.version,
                description=self.description,
                license_info=self.license_info,
                routes=self.routes,
            )
            self.openapi_schema = document(generated)
        return self.openapi_schema


def make_app(state: State) -> Border:
    """Return the application with its border."""
    app = described_app()
    app.state.callsheet = state
    return Border(
        app,
        body_bytes_max=state.settings.body_bytes_max,
        piece_bytes_max=state.settings.upload_bytes_max,
        clock=SystemClock(),
        proxies=state.entrance.proxies,
    )


def described_app() -> Application:
    """Return the application without what it works with: good for its description alone."""
    app = Application(
        title="Callsheet",
        description=DESCRIPTION,
        version=version("callsheet-gateway"),
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    add_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    return app


def _operation_id(route: APIRoute) -> str:
    """Name an operation as its function is named: programs are generated from these names."""
    return route.name
