-- Jobs by id, whether they are live or history; the least and the greatest id leave the other days alone.
SELECT
    id::text AS id, type, params::text AS params, state, category, priority, interactive, vram_mib,
    max_retries, extract(epoch FROM created_at)::float8 AS created_at,
    extract(epoch FROM run_at)::float8 AS run_at, token, attempt, retry_count, worker_id,
    extract(epoch FROM started_at)::float8 AS started_at, NULL::float8 AS finished_at,
    extract(epoch FROM retry_after)::float8 AS retry_after,
    extract(epoch FROM cancel_requested_at)::float8 AS cancel_requested_at, error, NULL::text AS result,
    parent_id::text AS parent_id,
    extract(epoch FROM pause_requested_at)::float8 AS pause_requested_at, NULL::smallint AS stop_rung,
    device, peak_vram_mib,
    needs::text[] AS needs, if_needed_fails, unique_key,
    coalesce(cardinality(children), 0) AS children, collection, submitted_by
FROM job_live
WHERE id = ANY($1::uuid[])
UNION ALL
SELECT
    id::text, type, params::text, state, category, priority, interactive, vram_mib, max_retries,
    extract(epoch FROM created_at)::float8, extract(epoch FROM run_at)::float8, token, attempt,
    retry_count, worker_id, extract(epoch FROM started_at)::float8,
    extract(epoch FROM finished_at)::float8, NULL,
    extract(epoch FROM cancel_requested_at)::float8, error, result::text, parent_id::text, NULL,
    stop_rung, device, peak_vram_mib,
    needs::text[], if_needed_fails, unique_key, coalesce(cardinality(children), 0), collection,
    submitted_by
FROM job_done
WHERE id = ANY($1::uuid[]) AND id >= $2::uuid AND id <= $3::uuid
