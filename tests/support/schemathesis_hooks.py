"""What Schemathesis has to be told of our endpoints: pieces are bytes, and what a fault is."""

import schemathesis

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


@schemathesis.check
def no_fault(_: schemathesis.CheckContext, response: schemathesis.Response, __: object) -> None:
    """Take 503 for an answer where it says when to come again: what was asked for is still being made."""
    is_later = response.status_code == 503 and "retry-after" in response.headers
    assert response.status_code < 500 or is_later, f"a fault: {response.status_code}"
