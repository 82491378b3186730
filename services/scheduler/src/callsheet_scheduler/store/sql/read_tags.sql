-- The tags of items whose content is the given one, the best of each source first.
SELECT
    t.item_id::text AS item_id, t.source, t.tag, t.score, t.computed_on, t.job_id::text AS job_id,
    extract(epoch FROM t.created_at)::float8 AS created_at
FROM unnest($1::uuid[], $2::text[]) AS u (item_id, identity)
JOIN library_tag AS t ON t.item_id = u.item_id AND t.source_identity = u.identity
ORDER BY t.item_id, t.source, t.score DESC, t.tag
