-- The derivatives of items whose content is the given one.
SELECT
    d.item_id::text AS item_id, d.kind, d.recipe, d.source_identity, d.root, d.path, d.media_type,
    d.width, d.height, d.size_bytes, d.inline, d.job_id::text AS job_id,
    extract(epoch FROM d.created_at)::float8 AS created_at
FROM unnest($1::uuid[], $2::text[]) AS u (item_id, identity)
JOIN library_derivative AS d ON d.item_id = u.item_id AND d.source_identity = u.identity
ORDER BY d.item_id, d.kind, d.recipe
