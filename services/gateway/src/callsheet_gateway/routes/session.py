"""/api/session: sign in, who is signed in, sign out."""

from fastapi import APIRouter, Request, Response

from callsheet_gateway.access.callers import RequestCaller
from callsheet_gateway.access.entrance import cookie_name
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.session import SessionView, SignIn, session_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/session", tags=["session"], route_class=GuardedRoute)


@router.post("", status_code=201, responses=problems(400, 401, 403, 413, 415, 422, 429, 503))
async def sign_in(state: GatewayState, request: Request, response: Response, shown: SignIn) -> SessionView:
    """Begin a session. Its cookie is sent by the browser alone, to this gateway alone."""
    entrance = state.entrance
    session = await entrance.sign_in(request, shown.token)
    peer = entrance.proxies.peer(request.scope)
    response.set_cookie(
        cookie_name(peer),
        entrance.sessions.sealed(session),
        max_age=max(0, int(session.expires_at - entrance.clock.now().timestamp())),
        httponly=True,
        samesite="strict",
        secure=peer.is_https,
        path="/",
    )
    response.headers["Cache-Control"] = "no-store"
    csrf_token = entrance.sessions.csrf_token(session)
    return session_view(session.caller, expires_at=session.expires_at, csrf_token=csrf_token)


@router.get("")
async def show_session(
    state: GatewayState, request: Request, response: Response, caller: RequestCaller
) -> SessionView:
    """Say who is signed in, and until when."""
    response.headers["Cache-Control"] = "no-store"
    session = None if "authorization" in request.headers else await state.entrance.session(request)
    if session is None:
        return session_view(caller, expires_at=caller.expires_at, csrf_token=None)
    csrf_token = state.entrance.sessions.csrf_token(session)
    return session_view(caller, expires_at=session.expires_at, csrf_token=csrf_token)


@router.delete("", status_code=204, response_class=Response)
async def sign_out(state: GatewayState, request: Request) -> Response:
    """End the session, here at once and at other gateways within seconds."""
    response = Response(status_code=204)
    session = await state.entrance.session(request)
    if session is not None:
        await state.entrance.endings.end(session)
    peer = state.entrance.proxies.peer(request.scope)
    response.delete_cookie(
        cookie_name(peer), path="/", httponly=True, samesite="strict", secure=peer.is_https
    )
    return response
