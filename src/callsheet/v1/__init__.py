"""Generated code: the messages and stubs of ``callsheet.v1``."""
