"""The runtime that every worker runs on."""

import os


def never_fork() -> None:
    """Tell gRPC that children are started by exec alone; it heeds that only before it is imported.

    It prepares for forks otherwise. The loop's forks meet that with threads of gRPC under way, as where
    traces are sent, and some children then crash or hang before their program begins.
    """
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
