"""The command line: ``callsheet …``."""

import os


def main() -> None:
    """Run the command line: the console script ``callsheet``."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from callsheet.cli.app import main as run  # noqa: PLC0415 -- gRPC reads the line above when it begins

    run()
