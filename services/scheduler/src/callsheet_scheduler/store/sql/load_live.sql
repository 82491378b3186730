-- Every live job, without its parameters, for a new leader.
SELECT
    id::text AS id, sequence, type, category, priority, interactive, vram_mib, max_retries,
    request_hash, parent_id::text AS parent_id, extract(epoch FROM created_at)::float8 AS created_at,
    extract(epoch FROM run_at)::float8 AS run_at, state, token, attempt, retry_count, lost_count,
    capacity_count, extract(epoch FROM retry_after)::float8 AS retry_after, worker_id, host,
    extract(epoch FROM cancel_requested_at)::float8 AS cancel_requested_at,
    extract(epoch FROM pause_requested_at)::float8 AS pause_requested_at, error, root
FROM job_live
ORDER BY sequence
