"""The enumerations of the contract as people write them: lower case, without the prefix."""

from enum import StrEnum

from callsheet.cli.documents import enum_text
from callsheet.v1.job_pb2 import IfDependencyFails, Job, JobState, ResourceCategory
from callsheet.v1.library_service_pb2 import Item, ItemState, MediaKind


class JobStateChoice(StrEnum):
    """Where a job is in its life."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def value_on_wire(self) -> JobState.ValueType:
        """The member of the contract."""
        return JobState.Value(f"JOB_STATE_{self.name}")


class CategoryChoice(StrEnum):
    """What a job occupies while it runs."""

    CPU = "cpu"
    GPU_ENCODE = "gpu_encode"
    GPU_AI = "gpu_ai"

    @property
    def value_on_wire(self) -> ResourceCategory.ValueType:
        """The member of the contract."""
        return ResourceCategory.Value(f"RESOURCE_CATEGORY_{self.name}")


class IfFailsChoice(StrEnum):
    """What becomes of a job when one that it depends on does not complete."""

    FAIL = "fail"
    CANCEL = "cancel"
    RUN = "run"

    @property
    def value_on_wire(self) -> IfDependencyFails.ValueType:
        """The member of the contract."""
        return IfDependencyFails.Value(f"IF_DEPENDENCY_FAILS_{self.name}")


class KindChoice(StrEnum):
    """What an item is."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"

    @property
    def value_on_wire(self) -> MediaKind.ValueType:
        """The member of the contract."""
        return MediaKind.Value(f"MEDIA_KIND_{self.name}")


class ItemStateChoice(StrEnum):
    """Whether an item can be used."""

    OK = "ok"
    BROKEN = "broken"
    MISSING = "missing"

    @property
    def value_on_wire(self) -> ItemState.ValueType:
        """The member of the contract."""
        return ItemState.Value(f"ITEM_STATE_{self.name}")


def job_state_text(job: Job) -> str:
    """Return the state of a job, such as ``running``."""
    return enum_text(JobState.DESCRIPTOR, job.state)


def category_text(category: int) -> str:
    """Return a category, such as ``gpu_encode``."""
    return enum_text(ResourceCategory.DESCRIPTOR, category)


def kind_text(item: Item) -> str:
    """Return the kind of an item, such as ``video``."""
    return enum_text(MediaKind.DESCRIPTOR, item.facts.kind)


def item_state_text(item: Item) -> str:
    """Return the state of an item, such as ``broken``."""
    return enum_text(ItemState.DESCRIPTOR, item.facts.state)
