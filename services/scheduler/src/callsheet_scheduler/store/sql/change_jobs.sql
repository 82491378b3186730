-- Write what somebody wants of jobs that are not final. A stale token or another state matches no row.
UPDATE job_live AS l
SET state = u.state, priority = u.priority, vram_mib = u.vram_mib,
    cancel_requested_at = to_timestamp(u.cancel_requested_at),
    pause_requested_at = to_timestamp(u.pause_requested_at)
FROM unnest(
    $1::uuid[], $2::bigint[], $3::smallint[], $4::smallint[], $5::smallint[], $6::bigint[], $7::float8[],
    $8::float8[]
) AS u (id, token, was, state, priority, vram_mib, cancel_requested_at, pause_requested_at)
WHERE l.id = u.id AND l.token = u.token AND l.state = u.was
