"""Puts together what the routes work with, and takes it apart at the end."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from callsheet.client import Client
from callsheet.service.clock import Clock, SystemClock
from callsheet.worker.storage.library import Roots
from callsheet_gateway.access.auth import Role
from callsheet_gateway.access.buckets import Buckets
from callsheet_gateway.access.credentials import Credentials
from callsheet_gateway.access.endings import Endings
from callsheet_gateway.access.entrance import Entrance, Limits
from callsheet_gateway.access.issuer import FETCH_S, Issuer
from callsheet_gateway.access.jwts import Jwts, OwnTokens, RoleClaim
from callsheet_gateway.access.keys import Keys
from callsheet_gateway.access.peers import Proxies, parse_networks
from callsheet_gateway.access.sessions import Sessions
from callsheet_gateway.access.trail import Trail
from callsheet_gateway.live.hub import Hub
from callsheet_gateway.live.streams import Streams
from callsheet_gateway.media.making import Making
from callsheet_gateway.media.views import Views
from callsheet_gateway.secret_files import read_secret
from callsheet_gateway.settings import GatewaySettings
from callsheet_gateway.state import State
from callsheet_gateway.uploads.receiving import Uploads


@asynccontextmanager
async def assembled(settings: GatewaySettings, client: Client, admin_token: str) -> AsyncGenerator[State]:
    """Give the parts of one gateway, and end what they still do.

    Raises:
        InvalidError: A file with a secret will not do.
    """
    clock = SystemClock()
    making = Making(client, wait_s=settings.miss_wait_s, wishes_max=settings.misses_max)
    views = Views(client, every_s=settings.views_told_s)
    keys = Keys(client, clock, fresh_s=settings.key_fresh_s, stale_s=settings.key_stale_s)
    endings = Endings(client, clock, fresh_s=settings.key_fresh_s)
    trail = Trail(client, clock)
    hub = Hub(client, clock)
    streams = Streams(settings.event_streams_max, heartbeat_s=settings.event_heartbeat_s)
    roots = Roots(settings.roots)
    uploads = Uploads(settings, roots, client, clock)
    async with httpx.AsyncClient(timeout=FETCH_S) as http:
        credentials = Credentials(admin_token, keys=keys, jwts=_jwts(settings, http, clock))
        uploads.begin()
        try:
            yield State(
                settings=settings,
                entrance=Entrance(
                    credentials=credentials,
                    sessions=_sessions(settings, admin_token),
                    endings=endings,
                    proxies=Proxies(parse_networks(settings.trusted_proxies)),
                    limits=_limits(settings),
                    trail=trail,
                    clock=clock,
                ),
                client=client,
                roots=roots,
                making=making,
                views=views,
                hub=hub,
                streams=streams,
                uploads=uploads,
            )
        finally:
            for part in (uploads, hub, making, views, keys, endings, trail):
                await part.close()


def _sessions(settings: GatewaySettings, admin_token: str) -> Sessions:
    own = settings.session_secret_file
    secret = read_secret(own, "CALLSHEET_SESSION_SECRET_FILE") if own else admin_token
    return Sessions(secret.encode(), life_s=settings.session_life_s)


def _limits(settings: GatewaySettings) -> Limits:
    failures = settings.sign_in_failures_per_min
    return Limits(
        failures=Buckets(per_s=failures / 60, burst=max(1.0, failures)),
        changes=Buckets(per_s=settings.changes_per_s, burst=settings.changes_burst),
    )


def _jwts(settings: GatewaySettings, http: httpx.AsyncClient, clock: Clock) -> Jwts:
    own, issuer = None, None
    if settings.jwt_secret_file is not None:
        own = OwnTokens(
            secret=read_secret(settings.jwt_secret_file, "CALLSHEET_JWT_SECRET_FILE"),
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
        )
    if settings.oidc_issuer:
        issuer = Issuer(
            settings.oidc_issuer,
            audience=settings.oidc_audience,
            algorithms=settings.issued_algorithms,
            http=http,
            clock=clock,
        )
    values = {value: Role[name] for value, name in settings.role_values.items()}
    roles = RoleClaim(path=settings.role_claim, values=values)
    return Jwts(roles=roles, leeway_s=settings.jwt_leeway_s, own=own, issuer=issuer)
