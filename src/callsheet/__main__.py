"""Runs the command line: ``python -m callsheet``."""

from callsheet.cli import main

main()
