-- Every drained worker, for a new leader.
SELECT worker_id, grace_s FROM worker_drain
