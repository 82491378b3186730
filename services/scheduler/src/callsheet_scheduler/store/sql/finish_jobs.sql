-- Move jobs to history on behalf of the leases that hold them (or of nobody, for waiting jobs). A
-- stale token matches no row: the job is then left as it is.
WITH gone AS (
    DELETE FROM job_live AS l
    USING unnest(
        $1::uuid[], $2::bigint[], $3::smallint[], $4::smallint[], $5::float8[], $6::float8[],
        $7::text[], $8::text[], $9::smallint[], $10::smallint[]
    ) AS u (id, token, was, state, started_at, finished_at, error, result, lost_count, rung)
    WHERE l.id = u.id AND l.token = u.token AND l.state = u.was
    RETURNING
        l.id, l.sequence, l.type, l.category, l.priority, l.interactive, l.vram_mib, l.max_retries,
        l.request_hash, l.parent_id, l.created_at, l.run_at, l.params, u.state, l.token, l.attempt,
        l.retry_count, u.lost_count, l.capacity_count, l.worker_id, l.granted_at,
        to_timestamp(u.started_at), to_timestamp(u.finished_at), u.error, u.result::json,
        l.host, l.root, nullif(u.rung, 0)
)
INSERT INTO job_done (
    id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash,
    parent_id, created_at, run_at, params, state, token, attempt, retry_count, lost_count,
    capacity_count, worker_id, granted_at, started_at, finished_at, error, result,
    host, root, stop_rung
)
SELECT * FROM gone
