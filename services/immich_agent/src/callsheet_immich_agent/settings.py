"""The settings of the Immich controller; four of them also by the names that the immich-job-daemon has."""

import os
import socket
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource
from typing_extensions import override

from callsheet.service.settings import SchedulerClientSettings, ServiceSettings
from callsheet_immich_agent.client import NAME_CHARS_MAX, QUEUES_MAX
from callsheet_immich_agent.leases import ONLY, Card
from callsheet_immich_agent.policy import PRIORITIES, UNMANAGED, Rules

DAEMON_NAMES: Final = {
    "IMMICH_URL": "immich_url",
    "API_KEY": "immich_api_key",
    "MAX_CONCURRENT_JOBS": "immich_max_concurrent_jobs",
    "POLL_INTERVAL": "immich_poll_interval_s",
}
"""Variables of the daemon, and the settings that they stand for where those are not given."""

VRAM_MIB: Final = {
    "smartSearch": 3000,
    "faceDetection": 2000,
    "facialRecognition": 1000,
    "ocr": 2000,
    "videoConversion": 1500,
}
"""Queues that use a GPU where Immich has one, and what they are charged with."""


QueueName = Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX)]


class ImmichSettings(ServiceSettings):
    """One Immich server and how its queues are run."""

    immich_url: str = Field(default="http://127.0.0.1:2283", pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$")
    """The server's address; IMMICH_URL does as well."""
    immich_api_key: SecretStr = SecretStr("")
    """A key with job.read and job.create, or queue.read and queue.update; API_KEY does as well."""
    immich_api_key_file: Path | None = None
    """A file with the key, so that it is in no environment."""
    immich_ca_file: Path | None = None
    """Certificates (PEM) that the server's has to stem from, instead of those of the machine."""
    immich_max_concurrent_jobs: int = Field(default=1, ge=1, le=100)
    """How many queues may run at once; MAX_CONCURRENT_JOBS does as well."""
    immich_poll_interval_s: float = Field(default=10.0, ge=0.5, le=3600.0)
    """Seconds between two looks; POLL_INTERVAL does as well."""
    immich_order: tuple[QueueName, ...] = Field(default=PRIORITIES, max_length=QUEUES_MAX)
    """The queues, most urgent first, a JSON array; what is not named comes after, by name."""
    immich_unmanaged: frozenset[QueueName] = Field(default=UNMANAGED, max_length=QUEUES_MAX)
    """Queues that are never touched, a JSON array."""
    immich_settle_looks: int = Field(default=2, ge=1, le=100)
    """How many looks in a row have to find a queue drained before another takes its place."""
    immich_stall_looks: int = Field(default=60, ge=2, le=10_000)
    """How many looks in a row may find a queue open, with jobs, and none of them started, before all others
    pass it."""
    immich_adopt: bool = True
    """Whether queues that are found paused at first are run in their turn and opened at the end."""
    immich_deadline_s: float = Field(default=15.0, ge=1.0, le=300.0)
    """The longest that a call to the server may take, in seconds."""
    immich_restore_s: float = Field(default=8.0, ge=1.0, le=300.0)
    """How long opening the queues again may take at the end, in seconds."""
    immich_state: Path = Path("var/immich")
    """The folder that remembers which queues are paused by us, should the process be killed."""
    immich_name: str = Field(default=ONLY, pattern="^[a-z][a-z0-9]{0,31}$")
    """Tells several servers apart: in metrics, on the page, and in the names of their job types,
    immich_queue_NAME (immich_queue for the one that is called immich)."""
    immich_dry_run: bool = False
    """Say what would be asked of the server, and ask for nothing."""

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the daemon's variables stand behind our own."""
        given = {field: os.environ[name] for name, field in DAEMON_NAMES.items() if os.environ.get(name)}
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=given)

    @model_validator(mode="after")
    def _a_key_is_given(self) -> Self:
        if bool(self.immich_api_key.get_secret_value()) == bool(self.immich_api_key_file):
            raise ValueError(
                "give API_KEY or CALLSHEET_IMMICH_API_KEY_FILE, one of them: "
                "a key that Immich makes under Account Settings, API Keys"
            )
        return self

    def rules(self) -> Rules:
        """Return what the policy needs."""
        return Rules(
            limit=self.immich_max_concurrent_jobs,
            interval_s=self.immich_poll_interval_s,
            order=self.immich_order,
            unmanaged=self.immich_unmanaged,
            settle_looks=self.immich_settle_looks,
            stall_looks=self.immich_stall_looks,
            adopt=self.immich_adopt,
        )


class ImmichWorkerSettings(ImmichSettings, SchedulerClientSettings):
    """One Immich server whose queues run as jobs of the scheduler."""

    host: str = Field(default_factory=socket.gethostname, pattern="^[A-Za-z0-9._-]{1,128}$")
    """The host that limits are counted for; by default the machine's name. Letters, digits, . _ and -."""
    immich_gpu: str = Field(default="", pattern="^[A-Za-z0-9._/-]{0,128}$")
    """The UUID of the GPU that the server uses, as `callsheet gpus` shows it; empty where it uses none."""
    immich_gpu_mib: int = Field(default=0, ge=0, le=1 << 24)
    """The whole memory of that GPU in MiB."""
    immich_vram_mib: dict[str, Annotated[int, Field(ge=1)]] = Field(default=VRAM_MIB)
    """What each queue that uses the GPU is charged with while it runs, in MiB, a JSON object."""

    @model_validator(mode="after")
    def _a_card_has_memory(self) -> Self:
        if bool(self.immich_gpu) != bool(self.immich_gpu_mib):
            raise ValueError("give CALLSHEET_IMMICH_GPU and CALLSHEET_IMMICH_GPU_MIB together, or neither")
        return self

    def card(self) -> Card | None:
        """Return the GPU that the server's queues use."""
        if not self.immich_gpu:
            return None
        return Card(uuid=self.immich_gpu, memory_mib=self.immich_gpu_mib, vram_mib=self.immich_vram_mib)
