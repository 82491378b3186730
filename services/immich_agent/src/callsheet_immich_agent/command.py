"""``callsheet immich``: runs the controller of one Immich server, and steers those that run."""

from typing import Annotated

import typer

from callsheet_immich_agent import steering

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be asked of the server, and ask for nothing.")
]

app = typer.Typer(help="Run the queues of an Immich server few at a time.", no_args_is_help=True)


steering.add_to(app)


@app.command()
def run(*, dry_run: DryRun = False) -> None:
    """Run the most urgent queues and hold back the others, until told to stop; then open all of them.

    Settings are variables: IMMICH_URL, API_KEY, MAX_CONCURRENT_JOBS, POLL_INTERVAL and CALLSHEET_IMMICH_….
    """
    from callsheet_immich_agent.main import main  # noqa: PLC0415 -- other commands need none of it

    main(dry_run=dry_run)


@app.command()
def work(*, dry_run: DryRun = False) -> None:
    """As run, by leases of the scheduler: queues that use the GPU share it with its other jobs.

    Settings are those of run, CALLSHEET_SCHEDULER, and CALLSHEET_IMMICH_GPU, …_GPU_MIB and …_VRAM_MIB.
    """
    from callsheet_immich_agent.main import main_with_scheduler  # noqa: PLC0415 -- as above

    main_with_scheduler(dry_run=dry_run)


@app.command()
def look(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False
) -> None:
    """List the server's queues as status does, asking the server itself: no scheduler is needed.

    Settings are those of run. A controller that runs meanwhile is not disturbed.
    """
    from callsheet_immich_agent.main import tell  # noqa: PLC0415 -- as above

    tell(as_json=as_json)


@app.command()
def restore() -> None:
    """Open the queues that a run has left paused that was killed."""
    from callsheet_immich_agent.main import open_all  # noqa: PLC0415 -- other commands need none of it

    open_all()
