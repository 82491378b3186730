"""The scheduler: it owns the queue and leases jobs to workers."""
