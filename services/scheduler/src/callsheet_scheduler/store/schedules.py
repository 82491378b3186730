"""Keeps schedules, each as a row."""

from callsheet_scheduler.domain.schedules import CatchUp, Schedule, Template, Timetable
from callsheet_scheduler.store.connection import Connection
from callsheet_scheduler.store.statements import statement


async def save_schedule(connection: Connection, schedule: Schedule) -> None:
    """Keep a schedule as it is, in the place of the one of its name."""
    template = schedule.template
    await connection.execute(
        statement("save_schedule"),
        schedule.name,
        schedule.cron,
        schedule.time_zone,
        schedule.jitter_s,
        int(schedule.catch_up),
        schedule.catch_up_max,
        template.type,
        template.params,
        template.priority,
        template.interactive,
        template.vram_mib,
        template.max_retries,
        schedule.created_at,
        schedule.decided_at,
        schedule.firing_at,
        schedule.paused_at,
        schedule.last_tick,
        schedule.last_job_id,
        schedule.error,
        template.unique_key,
        template.collection,
    )


async def delete_schedule(connection: Connection, name: str) -> None:
    """Forget a schedule."""
    await connection.execute(statement("delete_schedule"), name)


async def load_timetable(connection: Connection) -> Timetable:
    """Return every schedule."""
    timetable = Timetable()
    for row in await connection.fetch(statement("load_schedules")):
        template = Template(
            type=row["type"],
            params=row["params"],
            priority=row["priority"],
            interactive=row["interactive"],
            vram_mib=row["vram_mib"],
            max_retries=row["max_retries"],
            unique_key=row["unique_key"],
            collection=row["collection"],
        )
        timetable.put(
            Schedule(
                name=row["name"],
                cron=row["cron"],
                time_zone=row["time_zone"],
                jitter_s=row["jitter_s"],
                catch_up=CatchUp(row["catch_up"]),
                catch_up_max=row["catch_up_max"],
                template=template,
                created_at=row["created_at"],
                decided_at=row["decided_at"],
                firing_at=row["firing_at"],
                paused_at=row["paused_at"],
                last_tick=row["last_tick"],
                last_job_id=row["last_job_id"],
                error=row["error"],
            )
        )
    return timetable
