-- Put leased jobs back to pending, or to paused, and keep a row of the attempt that ended. A job that
-- yields has children.
WITH back AS (
    UPDATE job_live AS l
    SET state = u.state, retry_after = to_timestamp(u.retry_after), retry_count = u.retry_count,
        lost_count = u.lost_count, capacity_count = u.capacity_count, error = u.error,
        vram_mib = coalesce(u.vram_mib, l.vram_mib), out_of_vram_count = coalesce(u.out_of_vram_count, 0),
        started_at = to_timestamp(u.started_at), pause_requested_at = NULL,
        checkpoint = coalesce(u.checkpoint::json, l.checkpoint),
        children = coalesce(u.children::uuid[], l.children),
        yields = l.yields + (u.children IS NOT NULL)::int
    FROM unnest(
        $1::uuid[], $2::bigint[], $3::float8[], $4::smallint[], $5::smallint[], $6::smallint[],
        $7::text[], $8::float8[], $9::float8[], $10::text[], $11::text[],
        $12::smallint[], $13::text[], $14::bigint[], $15::bigint[], $16::smallint[], $17::text[]
    ) AS u (
        id, token, retry_after, retry_count, lost_count, capacity_count, error, started_at, ended_at,
        outcome, reason, state, checkpoint, had_mib, vram_mib, out_of_vram_count, children
    )
    WHERE l.id = u.id AND l.token = u.token AND l.state = 2
    RETURNING
        l.id, l.attempt, l.token, l.worker_id, l.started_at, u.ended_at, u.outcome, u.reason, l.device,
        CASE WHEN l.device IS NOT NULL THEN u.had_mib END AS vram_mib, l.peak_vram_mib
)
INSERT INTO job_attempt (
    job_id, number, token, worker_id, started_at, ended_at, outcome, error, device, vram_mib, peak_vram_mib
)
SELECT
    id, attempt, token, worker_id, started_at, to_timestamp(ended_at), outcome, reason, device, vram_mib,
    peak_vram_mib
FROM back
