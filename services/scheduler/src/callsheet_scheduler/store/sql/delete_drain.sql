-- Forget that a worker is drained.
DELETE FROM worker_drain WHERE worker_id = $1
