-- Jobs of history, as records that can go back to the queue.
SELECT
    id::text AS id, sequence, type, category, priority, interactive, vram_mib, max_retries,
    request_hash, parent_id::text AS parent_id, extract(epoch FROM created_at)::float8 AS created_at,
    state, token, attempt, retry_count, error, root, size_class,
    needs::text[] AS needs, if_needed_fails, unique_key, collection, submitted_by
FROM job_done
WHERE id = any($1::uuid []) AND id BETWEEN $2::uuid AND $3::uuid
