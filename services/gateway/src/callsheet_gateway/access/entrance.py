"""Lets a request in, or not: who calls, whether that suffices, how often, and whether the page asked."""

from dataclasses import dataclass, replace
from typing import Final

from starlette.requests import Request

from callsheet.errors import DeniedError, OverloadedError, UnauthenticatedError
from callsheet.service.clock import Clock
from callsheet_gateway.access.auth import Role, check_role
from callsheet_gateway.access.buckets import Buckets, subscriber
from callsheet_gateway.access.callers import CALLER_KEY, NOBODY, Caller
from callsheet_gateway.access.credentials import MISSING, Credentials, WrongCredentialError, token_of
from callsheet_gateway.access.endings import Endings
from callsheet_gateway.access.peers import Peer, Proxies
from callsheet_gateway.access.sessions import Session, Sessions
from callsheet_gateway.access.trail import Trail, is_audited, is_safe

COOKIE: Final = "callsheet_session"
SECURE_COOKIE: Final = f"__Host-{COOKIE}"
"""Its name under https: browsers then take it from this very host alone."""
CSRF_HEADER: Final = "X-CSRF-Token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How often things may be done."""

    failures: Buckets
    """Wrong credentials, by address."""
    changes: Buckets
    """Requests that change something, by caller and by address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """What every request passes."""

    credentials: Credentials
    sessions: Sessions
    endings: Endings
    proxies: Proxies
    limits: Limits
    trail: Trail
    clock: Clock

    async def admit(self, request: Request, needed: Role) -> None:
        """Let a request in, and note in its scope who calls.

        Raises:
            UnauthenticatedError: It has no good credential, and needs one.
            DeniedError: Its credential does not have the role, or the request is not the page's own.
            OverloadedError: Too much was asked, or tried.
            UnavailableError: Who would know the credential does not answer, or nothing can be put on record.
        """
        request.scope[CALLER_KEY] = caller = NOBODY if needed is Role.PUBLIC else await self._caller(request)
        if needed is not Role.PUBLIC:
            check_role(caller.role, needed)
        if not is_safe(request.method):
            self._limit_changes(caller, self._peer(request))
            self.trail.check_room()

    def note(self, request: Request, route: str, status: int, *, wrong: bool, said: str) -> None:
        """Put a request on record, if it is one that belongs there.

        Args:
            request: It.
            route: The path of its endpoint.
            status: How it was answered.
            wrong: Whether a credential was shown that is not good.
            said: What was sent.
        """
        if not is_audited(request.method, status, wrong=wrong):
            return
        caller: object = request.scope.get(CALLER_KEY)
        query = request.url.query
        self.trail.note(
            actor=caller.name if isinstance(caller, Caller) else "",
            address=self._peer(request).address,
            action=f"{request.method} {route}",
            target=request.url.path + (f"?{query}" if query else ""),
            status=status,
            said=said,
        )

    async def sign_in(self, request: Request, token: str) -> Session:
        """Return a new session for who shows *token*.

        Raises:
            UnauthenticatedError: The token is not good.
            DeniedError: Another site asks.
            OverloadedError: Too many wrong ones were shown.
        """
        peer = self._peer(request)
        check_same_origin(request, peer, or_unsaid=True)
        request.scope[CALLER_KEY] = caller = await self._who_shows(token, peer)
        return self.sessions.begin(caller, now=self._now())

    async def session(self, request: Request) -> Session | None:
        """Return the session of a request, None where it has no cookie.

        Raises:
            UnauthenticatedError: The session is over.
        """
        cookie = request.cookies.get(cookie_name(self._peer(request)))
        if cookie is None:
            return None
        session = self.sessions.opened(cookie, now=self._now())
        await self.endings.check(session)
        return session

    async def _caller(self, request: Request) -> Caller:
        authorization = request.headers.get("authorization")
        if authorization is not None:
            return await self._who_shows(token_of(authorization), self._peer(request))
        session = await self.session(request)
        if session is None:
            raise UnauthenticatedError(MISSING)
        caller = await self.credentials.still(session.caller)
        if not is_safe(request.method):
            self._check_page(request, session)
        return replace(caller, expires_at=min(session.expires_at, caller.expires_at or session.expires_at))

    async def _who_shows(self, token: str, peer: Peer) -> Caller:
        address, now = subscriber(peer.address), self.clock.monotonic()
        wait_s = self.limits.failures.wait_s(address, now=now)
        try:
            return await self.credentials.caller(token, refused_for_s=wait_s)
        except WrongCredentialError:
            if self.limits.failures.take(address, now=now):
                raise OverloadedError(
                    "too many wrong credentials from this address", retry_after_s=max(1.0, wait_s)
                ) from None
            raise

    def _check_page(self, request: Request, session: Session) -> None:
        check_same_origin(request, self._peer(request), or_unsaid=False)
        if not self.sessions.is_csrf_token(session, request.headers.get(CSRF_HEADER, "")):
            raise DeniedError(
                f"what changes something and has the session's cookie needs the header {CSRF_HEADER} "
                "with the csrfToken of GET /api/session"
            )

    def _limit_changes(self, caller: Caller, peer: Peer) -> None:
        now = self.clock.monotonic()
        for name in (f"address {subscriber(peer.address)}", *([caller.name] if caller.name else [])):
            wait_s = self.limits.changes.take(name, now=now)
            if wait_s:
                raise OverloadedError(
                    "too many requests that change something; send several jobs by POST "
                    "/api/media/jobs/batch, or raise CALLSHEET_CHANGES_PER_S",
                    retry_after_s=wait_s,
                )

    def _peer(self, request: Request) -> Peer:
        return self.proxies.peer(request.scope)

    def _now(self) -> float:
        return self.clock.now().timestamp()


def cookie_name(peer: Peer) -> str:
    """Return what the session's cookie is called."""
    return SECURE_COOKIE if peer.is_https else COOKIE


def check_same_origin(request: Request, peer: Peer, *, or_unsaid: bool) -> None:
    """Refuse what a page of another site has a browser send.

    Args:
        request: The request.
        peer: Where it comes from.
        or_unsaid: Whether to let pass what does not say its origin; browsers say it, programs do not.

    Raises:
        DeniedError: The request is of another origin.
    """
    fetched = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if fetched is not None:
        same = fetched == "same-origin"
    elif origin is not None:
        same = origin.lower() == peer.origin
    else:
        same = or_unsaid
    if not same:
        raise DeniedError(
            f"the request does not come from a page of {peer.origin}; behind a proxy, name it in "
            "CALLSHEET_TRUSTED_PROXIES and have it send X-Forwarded-Proto and X-Forwarded-Host"
        )
