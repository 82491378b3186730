"""/api/audit: who did what, when, from where."""

from typing import Annotated

from fastapi import APIRouter, Query

from callsheet.client.stamps import stamp_of
from callsheet.v1.access_service_pb2 import ListAuditRequest
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.keys import AuditList, AuditQuestion, audit_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/audit", tags=["access"], route_class=GuardedRoute)


@router.get("", responses=problems(400))
async def list_audit(state: GatewayState, asked: Annotated[AuditQuestion, Query()]) -> AuditList:
    """List what was done over REST, newest first; changes, refusals and wrong credentials."""
    page = await state.client.audit_page(
        ListAuditRequest(
            actor=asked.actor,
            since=stamp_of(asked.since),
            until=stamp_of(asked.until),
            page_size=asked.limit,
            page_token=asked.cursor,
        )
    )
    return AuditList(
        data=[audit_view(entry) for entry in page.entries], next_cursor=page.next_page_token or None
    )
