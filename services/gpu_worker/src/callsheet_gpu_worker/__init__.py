"""The GPU worker: encoding and inference."""
