"""What the gateway counts."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

REQUESTS: Final = Counter(
    "callsheet_gateway_requests", "REST requests answered.", ("method", "route", "status")
)
REQUEST_SECONDS: Final = Histogram(
    "callsheet_gateway_request_seconds",
    "Seconds from a request's head to the end of its answer.",
    ("route",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
IN_PROGRESS: Final = Gauge("callsheet_gateway_requests_in_progress", "REST requests being answered now.")
STREAMS: Final = Gauge("callsheet_gateway_event_streams", "Event streams that are open.")
MISSES: Final = Counter(
    "callsheet_gateway_misses", "Metadata or pictures that were not cached when asked for.", ("type",)
)

UPLOADED_BYTES: Final = Counter(
    "callsheet_gateway_uploaded_bytes", "Bytes of uploads that were written, repeated ones too."
)
UPLOADS: Final = Counter(
    "callsheet_gateway_uploads",
    "Uploads that were put in their place (placed), given to the library (settled), ended by their client "
    "(ended), or given up (expired).",
    ("outcome",),
)

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that are counted by name; any other is OTHER, so that clients make no labels."""
UNMATCHED: Final = "unmatched"
"""Stands for a path that no route serves."""
