"""The connection to a scheduler that every call of the client goes over."""

import copy
from dataclasses import replace
from typing import Self

from callsheet.acting import Said
from callsheet.channel import open_channel
from callsheet.client.repeating import Patience, Repeating
from callsheet.service.clock import Clock, SystemClock
from callsheet.tls import TlsFolder
from callsheet.v1.access_service_pb2_grpc import AccessServiceStub
from callsheet.v1.fleet_service_pb2_grpc import FleetServiceStub
from callsheet.v1.immich_service_pb2_grpc import ImmichServiceStub
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.v1.library_service_pb2_grpc import LibraryServiceStub
from callsheet.v1.schedule_service_pb2_grpc import ScheduleServiceStub


class Wire:
    """A channel, the services behind it, and the patience with them."""

    def __init__(
        self,
        target: str,
        *,
        token: str | None = None,
        tls: TlsFolder | None = None,
        patience: Patience | None = None,
        clock: Clock | None = None,
        said: Said = (),
    ) -> None:
        """Prepare a connection to *target*, host:port, several separated by commas; opened at first use.

        What is *said*, `acting_as` somebody, is for the audit trail.
        """
        self._channel = open_channel(target, token=token, tls=tls, said=said)
        self._repeating = Repeating(
            target=target,
            patience=patience or Patience(),
            clock=clock or SystemClock(),
        )
        self._jobs = JobServiceStub(self._channel)
        self._library = LibraryServiceStub(self._channel)
        self._fleet = FleetServiceStub(self._channel)
        self._schedules = ScheduleServiceStub(self._channel)
        self._immich = ImmichServiceStub(self._channel)
        self._access = AccessServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def with_patience(self, patience: Patience) -> Self:
        """Return a client on the same connection with other patience; closing either closes both."""
        other = copy.copy(self)
        vars(other)["_repeating"] = replace(self._repeating, patience=patience)
        return other

    async def trouble(self) -> str:
        """Return what is wrong with TLS at the scheduler that is asked at present; empty for nothing."""
        return await self._channel.trouble()

    async def close(self) -> None:
        """End the connection and all calls on it."""
        await self._channel.close()
