"""The Dockerfile: a target per service, without rights, from the locks."""

import re
import subprocess

import pytest

from tests.deploy.manifests import BIN, DOCKERFILE, ROOT, SETTINGS, targets

TEXT = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
STAGES = {
    found[2]: (found[1], found[3])
    for found in re.finditer(r"^FROM (\S+) AS (\S+)$(.*?)(?=^FROM |\Z)", TEXT, re.MULTILINE | re.DOTALL)
}


def stages_of(target: str) -> str:
    """Return what a target says, with the stages that it stands on."""
    base, text = STAGES[target]
    return (stages_of(base) if base in STAGES else "") + text


def test_hadolint_finds_nothing() -> None:
    found = subprocess.run([BIN / "hadolint", DOCKERFILE], check=False, capture_output=True, text=True)

    assert (found.returncode, found.stdout) == (0, "")


def test_every_service_has_a_target() -> None:
    assert targets() >= SETTINGS.keys()


@pytest.mark.parametrize("service", SETTINGS)
def test_service_runs_without_rights_below_a_process_that_reaps(service: str) -> None:
    text = stages_of(service)

    assert "\nUSER 10001:10001\n" in text
    assert 'ENTRYPOINT ["/usr/bin/tini", "--"]' in text


@pytest.mark.parametrize("service", SETTINGS)
def test_service_is_installed_from_its_lock_and_leaves_pip_behind(service: str) -> None:
    build = stages_of(f"{service}-build")
    installs = re.findall(r"pip install (.*?)(?:&&|$)", build, re.MULTILINE)

    assert f"COPY --from={service}-build /opt/callsheet /opt/callsheet" in STAGES[service][1]
    assert "pip install" not in stages_of(service)
    assert build.rstrip().endswith("pip uninstall --yes hatchling editables pip")
    assert all("--require-hashes" in one or "--no-deps" in one for one in installs)
    assert sum("--require-hashes" in one for one in installs) == 1


def test_every_lock_that_is_copied_exists() -> None:
    whole = DOCKERFILE.read_text(encoding="utf-8")
    named = set(re.findall(r"requirements/(\w+)\.txt", whole)) | set(re.findall(r"GPU_LOCK=(\w+)", whole))

    assert {"gpu_worker", "gpu_worker_cuda", "scheduler"} <= named
    assert {name for name in named if not (ROOT / f"requirements/{name}.txt").is_file()} == set()


def test_lock_with_cuda_holds_all_that_the_worker_needs() -> None:
    plain, cuda = packages("gpu_worker"), packages("gpu_worker_cuda")

    assert plain <= cuda
    assert {"onnxruntime-gpu", "nvidia-cublas", "nvidia-cudnn-cu13"} <= cuda


def packages(lock: str) -> set[str]:
    """Return the names that a lock holds."""
    text = (ROOT / f"requirements/{lock}.txt").read_text(encoding="utf-8")
    return set(re.findall(r"^([\w-]+)==", text, re.MULTILINE))
