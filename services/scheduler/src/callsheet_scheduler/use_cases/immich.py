"""Steers Immich servers: keeps what is decided of them, and tells it to their controllers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from callsheet.errors import InvalidError, NotFoundError, OverloadedError, StateError
from callsheet_scheduler.domain.immich import Decided, Report, Rules, Servers
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.store.connection import Own
from callsheet_scheduler.store.immich import save_decided

NAME: Final = re.compile(r"[a-z][a-z0-9]{0,31}")
SERVERS_MAX: Final = 100
LIMIT_MAX: Final = 100
INTERVAL_S: Final = (0.5, 3600.0)
"""What a controller's settings take as well."""
QUEUES_MAX: Final = 200
QUEUE_NAME_CHARS_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server as it is known."""

    name: str
    decided: Decided
    report: Report | None
    silent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to decide anew: a value sets, *clear* lifts, neither leaves it."""

    paused: bool | None = None
    limit: int | None = None
    clear_limit: bool = False
    order: tuple[str, ...] = ()
    clear_order: bool = False
    interval_s: float | None = None
    clear_interval: bool = False
    by: str = ""


class ImmichServers:
    """Reads what controllers report, and decides what they go by."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership

    def all(self) -> list[Server]:
        """Return every server by name."""
        term = self._leadership.current()
        now = term.commits.now()
        return [_server(term.immich, name, now) for name in term.immich.names(now)]

    def now(self) -> float:
        """Return the instant of the leadership."""
        return self._leadership.current().commits.now()

    def report(self, name: str, report: Report) -> Decided:
        """Take in what a controller says, and return what is decided of its server.

        Raises:
            InvalidError: The name or the queues are not acceptable.
            StateError: Another server goes by this name, or another controller steers this one.
            OverloadedError: There are too many servers.
        """
        if not NAME.fullmatch(name):
            raise InvalidError("must be 1 to 32 of a-z and 0-9, the first a letter", field="name")
        if len(report.queues) > QUEUES_MAX:
            raise InvalidError(f"must be at most {QUEUES_MAX}", field="queues")
        for rules, field in ((report.own, "own"), (report.in_force, "in_force")):
            _check_rules(rules, field)
        servers = self._leadership.current().immich
        rival = servers.rival(name, report)
        if rival is not None:
            raise StateError(_against(name, report, *rival))
        if name not in servers.names(report.at) and len(servers) >= SERVERS_MAX:
            raise OverloadedError(f"there are {SERVERS_MAX} Immich servers")
        servers.report(name, report)
        return servers.decided(name)

    def left(self, name: str, controller: str) -> None:
        """Forget what a controller said that ends; what is decided of its server stays."""
        self._leadership.current().immich.left(name, controller)

    async def change(self, name: str, change: Change) -> Server:
        """Decide anew, of the only server where *name* is empty.

        Raises:
            NotFoundError: There is no such server.
            InvalidError: What is decided is not acceptable; names the field.
        """
        term = self._leadership.current()
        known = _known(term, name)

        async def keep(connection: Own) -> None:
            decided = _changed(_server(term.immich, known, term.commits.now()), change, term.commits.now())
            await save_decided(connection, known, decided)
            term.immich.decide(known, decided)

        await term.write_control(keep)
        return _server(term.immich, known, term.commits.now())


def _check_rules(rules: Rules, field: str) -> None:
    if not 0 <= rules.interval_s <= INTERVAL_S[1]:
        raise InvalidError(f"must be from 0 to {INTERVAL_S[1]:g} seconds", field=f"{field}.interval_s")
    if len(rules.order) > QUEUES_MAX or any(not _may_be_a_queue(name, set()) for name in rules.order):
        raise InvalidError(
            f"must be at most {QUEUES_MAX} names of 1 to {QUEUE_NAME_CHARS_MAX} printable characters",
            field=f"{field}.order",
        )


def _against(name: str, report: Report, other: str, known: Report) -> str:
    if known.address != report.address:
        return (
            f"the controller of {known.address} is here as {name!r};"
            " give this one another CALLSHEET_IMMICH_NAME"
        )
    return f"another controller steers {known.address} as {other!r}; this one stands by until that one ends"


def _server(servers: Servers, name: str, now: float) -> Server:
    report = servers.reports.get(name)
    return Server(
        name=name,
        decided=servers.decided(name),
        report=report,
        silent=report is None or report.silent(now),
    )


def _known(term: Term, name: str) -> str:
    names = term.immich.names(term.commits.now())
    if not names:
        raise NotFoundError("there is no Immich server; `callsheet immich work` brings one")
    if not name and len(names) == 1:
        return names[0]
    if not name:
        raise InvalidError(f"say which: there are {', '.join(names)}", field="name")
    if name not in names:
        raise NotFoundError(f"there is no Immich server {name[:64]!r}; there are {', '.join(names)}")
    return name


def _changed(server: Server, change: Change, now: float) -> Decided:
    decided = server.decided
    if change.paused is False:
        decided = replace(decided, paused_at=None, paused_by="")
    elif change.paused and decided.paused_at is None:
        decided = replace(decided, paused_at=now, paused_by=change.by or "admin")
    if change.limit is not None:
        _check_limit(change.limit, clear=change.clear_limit)
    if change.limit is not None or change.clear_limit:
        decided = replace(decided, limit=change.limit)
    if change.order:
        _check_order(change.order, server.report, clear=change.clear_order)
    if change.order or change.clear_order:
        decided = replace(decided, order=change.order or None)
    if change.interval_s is not None:
        _check_interval(change.interval_s, clear=change.clear_interval)
    if change.interval_s is not None or change.clear_interval:
        decided = replace(decided, interval_s=change.interval_s)
    return decided


def _check_limit(limit: int, *, clear: bool) -> None:
    if clear:
        raise InvalidError("cannot be set and lifted at once; leave out clear_limit to set it", field="limit")
    if not 0 <= limit <= LIMIT_MAX:
        raise InvalidError(f"must be from 0 to {LIMIT_MAX}, not {limit}", field="limit")


def _check_interval(interval_s: float, *, clear: bool) -> None:
    if clear:
        message = "cannot be set and lifted at once; leave out clear_interval to set it"
        raise InvalidError(message, field="interval_s")
    least_s, most_s = INTERVAL_S
    if not least_s <= interval_s <= most_s:
        message = f"must be from {least_s:g} to {most_s:g} seconds, not {interval_s:g}"
        raise InvalidError(message, field="interval_s")


def _check_order(order: Sequence[str], report: Report | None, *, clear: bool) -> None:
    if clear:
        raise InvalidError("cannot be set and lifted at once; leave out clear_order to set it", field="order")
    if len(order) > QUEUES_MAX:
        raise InvalidError(f"must be at most {QUEUES_MAX} queues", field="order")
    twice = next((name for number, name in enumerate(order) if name in order[:number]), None)
    if twice is not None:
        raise InvalidError(f"names {twice[:QUEUE_NAME_CHARS_MAX]!r} twice", field="order")
    known = _queues(report)
    unknown = next((name for name in order if not _may_be_a_queue(name, known)), None)
    if unknown is not None:
        there = f"; there are {', '.join(sorted(known))}" if known else ""
        message = f"{unknown[:QUEUE_NAME_CHARS_MAX]!r} is no queue of the server{there}"
        raise InvalidError(message, field="order")


def _queues(report: Report | None) -> set[str]:
    """Return the names of the queues that a server has; those of the settings are no mistake either."""
    if report is None or not report.queues:
        return set()
    return {queue.name for queue in report.queues} | set(report.own.order)


def _may_be_a_queue(name: str, known: set[str]) -> bool:
    plain = name.isprintable() and 0 < len(name) <= QUEUE_NAME_CHARS_MAX
    return name in known if known else plain
