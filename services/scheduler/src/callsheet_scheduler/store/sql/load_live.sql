-- Every live job, without its parameters, for a new leader.
SELECT
    id::text AS id, sequence, type, category, priority, interactive, vram_mib, max_retries,
    request_hash, parent_id::text AS parent_id, date_part('epoch', created_at) AS created_at,
    date_part('epoch', run_at) AS run_at, state, token, attempt, retry_count, lost_count,
    capacity_count, date_part('epoch', retry_after) AS retry_after, worker_id, host,
    date_part('epoch', cancel_requested_at) AS cancel_requested_at,
    date_part('epoch', pause_requested_at) AS pause_requested_at, error, root, device,
    out_of_vram_count, size_class,
    needs::text[] AS needs, if_needed_fails, unique_key,
    children::text[] AS children, yields, collection, submitted_by, trace
FROM job_live
