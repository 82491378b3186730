-- Views for people and programs that read by SQL. What only the leader's memory knows is not in them:
-- progress, the place in the queue, and the reasons to wait but for those that are instants.

-- Each final state is a part of its own, so that a query for one state leaves the others alone.
CREATE VIEW jobs AS
SELECT
    j.id, j.type, j.status, j.params,
    CASE j.status WHEN 'completed' THEN 100 ELSE 0 END AS progress,
    (
        SELECT coalesce(string_agg(g.body, '' ORDER BY g.attempt, g.sequence), '')
        FROM job_log AS g
        WHERE g.job_id = j.id
    ) AS log,
    j.priority::integer AS priority,
    NULL::integer AS queue_position,
    CASE
        WHEN j.status = 'paused' THEN 'Paused'
        WHEN j.retry_after > now() THEN
            format('Retry %s of %s at %s', j.retry_count, j.max_retries, to_char(j.retry_after, 'HH24:MI:SS'))
        WHEN j.run_at > now() THEN format('Scheduled for %s', to_char(j.run_at, 'YYYY-MM-DD HH24:MI:SS'))
    END AS waiting_reason,
    CASE j.category WHEN 1 THEN 'cpu' WHEN 2 THEN 'gpu_encode' WHEN 3 THEN 'gpu_ai' END AS resource_category,
    j.vram_mib AS vram_required,
    j.created_at, j.started_at,
    j.finished_at AS completed_at,
    j.retry_count::integer AS retry_count,
    j.max_retries::integer AS max_retries,
    j.retry_after
FROM (
    SELECT
        id, type, params, priority, category, vram_mib, created_at, retry_count, max_retries,
        CASE state WHEN 1 THEN 'pending' WHEN 4 THEN 'paused' ELSE 'running' END AS status,
        CASE state WHEN 2 THEN coalesce(started_at, granted_at) ELSE started_at END AS started_at,
        NULL::timestamptz AS finished_at, retry_after,
        CASE state WHEN 1 THEN run_at END AS run_at
    FROM job_live
    UNION ALL
    SELECT
        id, type, params, priority, category, vram_mib, created_at, retry_count, max_retries,
        'completed', started_at, finished_at, NULL, NULL
    FROM job_done
    WHERE state = 5
    UNION ALL
    SELECT
        id, type, params, priority, category, vram_mib, created_at, retry_count, max_retries,
        'failed', started_at, finished_at, NULL, NULL
    FROM job_done
    WHERE state = 6
    UNION ALL
    SELECT
        id, type, params, priority, category, vram_mib, created_at, retry_count, max_retries,
        'cancelled', started_at, finished_at, NULL, NULL
    FROM job_done
    WHERE state = 7
) AS j;

-- Originals with what became of them. An original is completed when it has a thumbnail of its present
-- content; before that, the jobs that name it say where it stands.
CREATE VIEW media AS
SELECT
    i.id,
    i.root AS voyage_slug,
    i.path AS file_path,
    regexp_replace(i.path, '^.*/', '') AS filename,
    CASE i.kind WHEN 1 THEN 'image' WHEN 2 THEN 'video' WHEN 3 THEN 'audio' WHEN 4 THEN 'document' END
        AS media_type,
    CASE
        WHEN i.state = 3 THEN 'missing'
        WHEN i.state = 2 THEN 'failed'
        WHEN t.item_id IS NOT NULL THEN 'completed'
        WHEN n.leased THEN 'processing'
        WHEN n.failed THEN 'failed'
        ELSE 'pending'
    END AS processing_status,
    CASE
        WHEN i.state = 2 THEN i.reason
        WHEN i.state = 1 AND t.item_id IS NULL AND n.failed THEN n.error
    END AS processing_error,
    i.size_bytes AS file_size,
    i.width, i.height,
    i.duration_s AS duration,
    i.format,
    t.path AS thumbnail_path,
    p.path AS preview_path,
    i.created_at, i.updated_at
FROM library_item AS i
LEFT JOIN (
    SELECT DISTINCT ON (item_id, source_identity) item_id, source_identity, path
    FROM library_derivative
    WHERE kind = 'thumbnail'
    ORDER BY item_id, source_identity, recipe
) AS t ON t.item_id = i.id AND t.source_identity = i.identity
LEFT JOIN (
    SELECT DISTINCT ON (item_id, source_identity) item_id, source_identity, path
    FROM library_derivative
    WHERE kind = 'preview'
    ORDER BY item_id, source_identity, recipe
) AS p ON p.item_id = i.id AND p.source_identity = i.identity
LEFT JOIN (
    SELECT
        named.item_id, bool_or(j.state = 2) AS leased, bool_and(j.state = 6) AS failed, max(j.error) AS error
    FROM (
        SELECT type, state, params, error FROM job_live
        UNION ALL
        SELECT type, state, params, error FROM job_done WHERE state = 6
    ) AS j
    CROSS JOIN LATERAL (
        SELECT j.params ->> 'videoId' AS item_id
        UNION ALL
        SELECT json_array_elements_text(j.params -> 'itemIds')
        WHERE json_typeof(j.params -> 'itemIds') = 'array'
    ) AS named
    WHERE j.type IN ('derivatives_generate', 'thumbnail_generate')
    GROUP BY named.item_id
) AS n ON n.item_id = i.id::text;

-- How far the originals of each root are.
CREATE VIEW media_processing_summary AS
SELECT
    voyage_slug,
    count(*) AS total_media,
    count(*) FILTER (WHERE processing_status = 'pending') AS pending_count,
    count(*) FILTER (WHERE processing_status = 'processing') AS processing_count,
    count(*) FILTER (WHERE processing_status = 'completed') AS completed_count,
    count(*) FILTER (WHERE processing_status = 'failed') AS failed_count,
    count(*) FILTER (WHERE processing_status = 'missing') AS missing_count,
    round(
        100.0 * count(*) FILTER (WHERE processing_status IN ('completed', 'failed'))
        / nullif(count(*) FILTER (WHERE processing_status <> 'missing'), 0), 1
    ) AS percent_done
FROM media
GROUP BY voyage_slug;

-- Jobs that caused others, with these.
CREATE VIEW async_task_batches AS
SELECT
    c.parent_id AS batch_id,
    p.type AS batch_type,
    CASE
        WHEN c.remaining > 0 OR p.state < 5 THEN 'processing'
        WHEN c.failed > 0 OR p.state = 6 THEN 'failed'
        WHEN c.cancelled > 0 OR p.state = 7 THEN 'cancelled'
        ELSE 'completed'
    END AS batch_status,
    c.total AS total_tasks,
    c.remaining AS remaining_tasks,
    c.completed AS completed_tasks,
    c.failed AS failed_tasks,
    c.cancelled AS cancelled_tasks,
    p.created_at,
    CASE WHEN c.remaining = 0 AND p.state >= 5 THEN greatest(c.finished_at, p.finished_at) END AS completed_at
FROM (
    SELECT
        parent_id,
        count(*) AS total,
        count(*) FILTER (WHERE state < 5) AS remaining,
        count(*) FILTER (WHERE state = 5) AS completed,
        count(*) FILTER (WHERE state = 6) AS failed,
        count(*) FILTER (WHERE state = 7) AS cancelled,
        max(finished_at) AS finished_at
    FROM (
        SELECT parent_id, state, NULL::timestamptz AS finished_at FROM job_live WHERE parent_id IS NOT NULL
        UNION ALL
        SELECT parent_id, state, finished_at FROM job_done WHERE parent_id IS NOT NULL
    ) AS caused
    GROUP BY parent_id
) AS c
JOIN (
    SELECT id, type, state, created_at, NULL::timestamptz AS finished_at FROM job_live
    UNION ALL
    SELECT id, type, state, created_at, finished_at FROM job_done
) AS p ON p.id = c.parent_id;
