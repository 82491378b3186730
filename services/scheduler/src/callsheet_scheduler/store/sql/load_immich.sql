-- What was decided of Immich servers, for a new leader.
SELECT
    name,
    extract(epoch FROM paused_at)::float8 AS paused_at,
    paused_by,
    queue_limit,
    queue_order,
    interval_s
FROM immich_server
