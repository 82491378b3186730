-- Keep what was decided of an Immich server.
INSERT INTO immich_server (name, paused_at, paused_by, queue_limit, queue_order, interval_s)
VALUES ($1, to_timestamp($2::float8), $3, $4, $5, $6)
ON CONFLICT (name) DO UPDATE SET
    paused_at = excluded.paused_at,
    paused_by = excluded.paused_by,
    queue_limit = excluded.queue_limit,
    queue_order = excluded.queue_order,
    interval_s = excluded.interval_s
