"""The command line: ``callsheet …``."""

from callsheet.cli.app import main

__all__ = ["main"]
