"""``callsheet doctor``: is everything there that Callsheet needs on this machine?"""

import os

import typer

from callsheet.cli.commands import Reach, command
from callsheet.cli.exits import ExitCode
from callsheet.cli.output import state_cell
from callsheet.errors import InvalidError

app = typer.Typer()


@command(app, "doctor")
async def doctor(reach: Reach) -> ExitCode:
    """Look at the scheduler, workers and what is needed on this machine, and name the remedy of each thing.

    Looks at clock, certificate, roots, disks, cached pictures, FFmpeg, what it encodes by, and the sandbox.

    Roots are those of CALLSHEET_ROOTS. Ends with 1 where something is to be done.
    """
    try:
        from callsheet import doctor as see  # noqa: PLC0415 -- needs what only services have
    except ImportError as error:
        raise InvalidError(f"{error.name} is not installed: install callsheet[worker] to look") from None
    from callsheet.service.settings import SchedulerClientSettings  # noqa: PLC0415 -- the same

    named = SchedulerClientSettings().roots
    findings = [
        *await see.scheduler(reach.client, reach.now),
        see.certificates(reach.connection.tls, reach.now),
        *see.roots(named),
        *await see.cache(reach.client, named),
        await see.ffmpeg(os.environ),
        await see.encoder(os.environ),
        see.sandbox(),
    ]
    output = reach.output
    if output.as_json:
        for one in findings:
            output.document({"what": one.what, "ok": not one.remedy, "said": one.said, "remedy": one.remedy})
    else:
        rows = [
            (one.what, state_cell("broken" if one.remedy else "ok"), one.said, one.remedy) for one in findings
        ]
        output.table(("WHAT", "STATE", "SAID", "REMEDY"), rows)
    return ExitCode.FAILED if any(one.remedy for one in findings) else ExitCode.OK
