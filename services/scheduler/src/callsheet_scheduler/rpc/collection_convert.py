"""Translates collections."""

from callsheet.v1 import job_pb2, library_service_pb2
from callsheet_scheduler.rpc.convert import instant_to_wire
from callsheet_scheduler.use_cases.collections import CollectionView


def collection_to_wire(view: CollectionView) -> library_service_pb2.Collection:
    """Return a collection as a message."""
    return library_service_pb2.Collection(
        slug=view.slug,
        title=view.title,
        created_at=instant_to_wire(view.created_at),
        jobs=[
            library_service_pb2.StateOfJobs(state=job_pb2.JobState.ValueType(state), count=count)
            for state, count in sorted(view.jobs.items())
        ],
        total=view.total,
        done=view.done,
        started_at=instant_to_wire(view.started_at),
        finished_at=instant_to_wire(view.finished_at),
        predicted_end_at=instant_to_wire(view.predicted_end_at),
    )
