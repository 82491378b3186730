-- Bring failed or cancelled jobs back from history; their last attempt gets a row of its own.
WITH back AS (
    DELETE FROM job_done AS d
    USING unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bigint[], $5::smallint[], $6::text[])
        AS u (id, token, was, sequence, retry_count, needs)
    WHERE d.id = u.id AND d.token = u.token AND d.state = u.was
    RETURNING d.*, u.sequence AS new_sequence, u.retry_count AS new_retry_count, u.needs::uuid[] AS new_needs
),

kept AS (
    INSERT INTO job_attempt (
        job_id, number, token, worker_id, started_at, ended_at, outcome, error, device, vram_mib, peak_vram_mib
    )
    SELECT
        id, attempt, token, worker_id, started_at, finished_at,
        CASE state WHEN 7 THEN 'cancelled' ELSE 'failed' END, error, device,
        CASE WHEN device IS NOT NULL THEN vram_mib END, peak_vram_mib
    FROM back
    WHERE attempt > 0
    ON CONFLICT DO NOTHING
)

INSERT INTO job_live (
    id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash,
    parent_id, created_at, run_at, params, state, token, attempt, worker_id, retry_count, lost_count,
    capacity_count, error, root, device, peak_vram_mib, size_class,
    needs, if_needed_fails, unique_key, collection, submitted_by
)
SELECT
    id, new_sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash,
    parent_id, created_at, NULL, params, 1, token, attempt, worker_id, new_retry_count, 0, 0, error,
    root, device, peak_vram_mib, size_class,
    new_needs, if_needed_fails, unique_key, collection, submitted_by
FROM back
