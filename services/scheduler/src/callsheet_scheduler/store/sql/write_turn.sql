-- One turn: move what ended to history, on behalf of the leases that hold it (or of nobody, for waiting
-- jobs); write leases; count. A stale token matches no row, and neither does a grant to a job that is not
-- pending or whose token is not older: then nothing is written. A column that is NULL as a whole has
-- what is usual. The workers that get leases come once each, and leases name them by number.
WITH gone AS (
    DELETE FROM job_live AS l
    USING unnest(
        $1::uuid[], $2::bigint[], $3::smallint[], $4::smallint[], $5::float8[], $6::float8[],
        $7::text[], $8::text[], $9::smallint[], $10::smallint[]
    ) AS u (id, token, was, state, started_at, finished_at, error, result, lost_count, rung)
    WHERE l.id = u.id AND l.token = u.token AND l.state = coalesce(u.was, 2)
    RETURNING
        l.id, l.sequence, l.type, l.category, l.priority, l.interactive, l.vram_mib, l.max_retries,
        l.request_hash, l.parent_id, l.created_at, l.run_at, l.params, coalesce(u.state, 5),
        l.token, l.attempt, l.retry_count, coalesce(u.lost_count, 0), l.capacity_count, l.worker_id, l.granted_at,
        to_timestamp(u.started_at), to_timestamp(u.finished_at), u.error,
        CASE WHEN $8::text[] IS NULL THEN '{}' ELSE u.result END::json,
        l.host, l.root, nullif(u.rung, 0), l.device, l.peak_vram_mib, l.size_class,
        l.needs, l.if_needed_fails, l.unique_key, l.cancel_requested_at, l.children, l.collection, l.submitted_by
),

finished AS (
    INSERT INTO job_done (
        id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash,
        parent_id, created_at, run_at, params, state, token, attempt, retry_count, lost_count,
        capacity_count, worker_id, granted_at, started_at, finished_at, error, result,
        host, root, stop_rung, device, peak_vram_mib, size_class,
        needs, if_needed_fails, unique_key, cancel_requested_at, children, collection, submitted_by
    )
    SELECT * FROM gone
    RETURNING 1
),

granted AS (
    UPDATE job_live AS l
    SET state = 2, token = u.token, attempt = coalesce(u.attempt, 1),
        worker_id = ($14::text[])[coalesce(u.holder, 1)], host = ($15::text[])[coalesce(u.holder, 1)],
        granted_at = to_timestamp($16::float8), started_at = NULL, retry_after = NULL
    FROM unnest($11::uuid[], $12::bigint[], $13::bigint[], $28::smallint[])
        WITH ORDINALITY AS u (id, token, attempt, holder, place)
    WHERE l.id = u.id AND l.state = 1 AND l.token < u.token
    RETURNING u.place, l.params::text AS params, l.checkpoint::text AS checkpoint
),

counted AS (
    INSERT INTO job_counter AS c (hour, state, type, category, jobs, run_ms)
    SELECT
        CASE WHEN u.hour IS NULL THEN '-infinity'::timestamptz ELSE to_timestamp(u.hour) END,
        u.state, u.type, u.category, u.jobs, u.run_ms
    FROM unnest($17::float8[], $18::smallint[], $19::text[], $20::smallint[], $21::bigint[], $22::bigint[])
        AS u (hour, state, type, category, jobs, run_ms)
    ON CONFLICT (hour, state, type, category)
    DO UPDATE SET jobs = c.jobs + excluded.jobs, run_ms = c.run_ms + excluded.run_ms
),

collected AS (
    INSERT INTO collection_counter AS c (slug, state, jobs, started_at, finished_at)
    SELECT u.slug, u.state, u.jobs, to_timestamp(u.started_at), to_timestamp(u.finished_at)
    FROM unnest($23::text[], $24::smallint[], $25::bigint[], $26::float8[], $27::float8[])
        AS u (slug, state, jobs, started_at, finished_at)
    ON CONFLICT (slug, state)
    DO UPDATE SET
        jobs = c.jobs + excluded.jobs, started_at = least(c.started_at, excluded.started_at),
        finished_at = greatest(c.finished_at, excluded.finished_at)
)

SELECT
    array_agg(params ORDER BY place) AS params,
    array_agg(checkpoint ORDER BY place) AS checkpoints,
    agreed('granted', count(*), cardinality($11::uuid[])) AS all_granted,
    agreed('finished', (SELECT count(*) FROM finished), cardinality($1::uuid[])) AS all_finished
FROM granted
