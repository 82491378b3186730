-- Originals with what became of them, by their collection; those of none by their root. An original
-- is completed when it has a thumbnail of its present content; before that, the jobs that name it say where
-- it stands.
CREATE OR REPLACE VIEW media AS
SELECT
    i.id,
    coalesce(i.collection COLLATE "C", i.root) AS voyage_slug,
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
