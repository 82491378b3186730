-- Keep that a worker is drained.
INSERT INTO worker_drain (worker_id, grace_s, drained_at, drained_by)
VALUES ($1, $2, to_timestamp($3::float8), $4)
ON CONFLICT (worker_id) DO UPDATE SET grace_s = excluded.grace_s
