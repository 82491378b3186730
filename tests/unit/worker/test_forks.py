"""gRPC in a worker prepares for no forks."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["callsheet_cpu_worker.main", "callsheet_gpu_worker.main"])
def test_worker_says_that_it_never_forks_before_grpc_is_imported(module: str) -> None:
    hears = (
        "import os, sys\n"
        "class Hears:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'grpc': print(os.environ.get('GRPC_ENABLE_FORK_SUPPORT'))\n"
        f"sys.meta_path.insert(0, Hears())\nimport {module}"
    )
    clean = {name: value for name, value in os.environ.items() if name != "GRPC_ENABLE_FORK_SUPPORT"}

    said = subprocess.run(
        [sys.executable, "-c", hears], check=True, capture_output=True, text=True, env=clean
    )

    assert said.stdout.strip() == "0"
