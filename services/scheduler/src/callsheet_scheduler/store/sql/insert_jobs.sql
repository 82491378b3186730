-- Insert accepted jobs, pending or already leased, unless some of these ids are in history: then return
-- those and insert nothing. The least and the greatest of the ids leave the other days alone. A column that
-- is NULL as a whole has what is usual. Types with their categories come once each, and so do instants of
-- creation: jobs name them by number.
WITH known AS MATERIALIZED (
    SELECT id::text AS id, request_hash, token, state, created_at
    FROM job_done
    WHERE id = ANY($1::uuid[]) AND id >= $20::uuid AND id <= $21::uuid
),

inserted AS (
    INSERT INTO job_live (
        id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash,
        parent_id, created_at, run_at, params, state, token, attempt, worker_id, host, granted_at,
        retry_count, lost_count, capacity_count, root, size_class,
        needs, if_needed_fails, unique_key, collection, submitted_by, trace
    )
    SELECT
        u.id, u.sequence, ($3::text[])[coalesce(u.kind, 1)], ($4::smallint[])[coalesce(u.kind, 1)],
        coalesce(u.priority, 5), coalesce(u.interactive, false), coalesce(u.vram_mib, 0),
        coalesce(u.max_retries, 3), u.request_hash, u.parent_id,
        to_timestamp(($11::float8[])[coalesce(u.creation, 1)]), to_timestamp(u.run_at),
        CASE WHEN $13::text[] IS NULL THEN '{}' ELSE u.params END::json,
        coalesce(u.state, 1), coalesce(u.token, 0), coalesce(u.attempt, 0), u.worker_id, u.host,
        CASE WHEN u.worker_id IS NOT NULL THEN to_timestamp(($11::float8[])[coalesce(u.creation, 1)]) END,
        0, 0, 0, u.root, u.size_class, u.needs::uuid[], u.if_needed_fails, u.unique_key,
        u.collection, u.submitted_by, u.trace
    FROM unnest(
        $1::uuid[], $2::bigint[], $5::smallint[], $6::boolean[], $7::bigint[],
        $8::smallint[], $9::bigint[], $10::uuid[], $12::float8[], $13::text[],
        $14::smallint[], $15::bigint[], $16::bigint[], $17::text[], $18::text[], $19::text[],
        $22::smallint[], $23::text[], $24::smallint[], $25::text[], $26::text[],
        $27::text[], $28::text[], $29::smallint[], $30::smallint[]
    ) AS u (
        id, sequence, priority, interactive, vram_mib, max_retries, request_hash,
        parent_id, run_at, params, state, token, attempt, worker_id, host, root, size_class,
        needs, if_needed_fails, unique_key, collection, submitted_by, trace, kind, creation
    )
    WHERE NOT EXISTS (SELECT FROM known)
)

SELECT * FROM known
