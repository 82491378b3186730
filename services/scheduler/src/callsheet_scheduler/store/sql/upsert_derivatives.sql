-- Point at derivatives. A derivative of the item's present content gives way only to another of the
-- present content under a lease that is not older; one of content that has passed, to every such
-- lease and to the present content. The same rule picks one where several are given. A derivative of
-- an item that is gone matches no row.
INSERT INTO library_derivative AS d (
    item_id, kind, recipe, source_identity, root, path, media_type, width, height, size_bytes, inline,
    job_id, token, created_at
)
SELECT DISTINCT ON (u.item_id, u.kind, u.recipe)
    u.item_id, u.kind, u.recipe, u.source_identity, u.root, u.path, u.media_type, u.width, u.height,
    u.size_bytes, u.inline, u.job_id, u.token, to_timestamp($1::float8)
FROM unnest(
    $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
    $10::bigint[], $11::bigint[], $12::bytea[], $13::uuid[], $14::bigint[]
) WITH ORDINALITY AS u (
    item_id, kind, recipe, source_identity, root, path, media_type, width, height, size_bytes, inline,
    job_id, token, place
)
JOIN library_item AS i ON i.id = u.item_id
ORDER BY u.item_id, u.kind, u.recipe, u.source_identity = i.identity DESC, u.token DESC, u.place DESC
ON CONFLICT (item_id, kind, recipe) DO UPDATE SET
    source_identity = excluded.source_identity, root = excluded.root, path = excluded.path,
    media_type = excluded.media_type, width = excluded.width, height = excluded.height,
    size_bytes = excluded.size_bytes, inline = excluded.inline, job_id = excluded.job_id,
    token = excluded.token, created_at = excluded.created_at
WHERE CASE (SELECT p.identity FROM library_item AS p WHERE p.id = d.item_id)
    WHEN excluded.source_identity
        THEN d.source_identity <> excluded.source_identity OR d.token <= excluded.token
    WHEN d.source_identity THEN false
    ELSE d.token <= excluded.token
END
