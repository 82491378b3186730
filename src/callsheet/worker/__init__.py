"""The runtime that every worker runs on."""

import os

# Read when gRPC is imported: children are started by exec alone, so it need not prepare for forks.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
