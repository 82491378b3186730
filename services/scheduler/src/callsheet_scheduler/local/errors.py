"""The error that ends a local start: one sentence for the person at the terminal."""

from callsheet.errors import CallsheetError


class StartError(CallsheetError):
    """Callsheet cannot run here as asked. The message says what is wrong and what to do, in one sentence."""

    status = "FAILED_PRECONDITION"


class InUseError(StartError):
    """Another process runs it."""
