-- How long and how large some items are, by their ids or by root and path.
SELECT id::text AS id, root, path, duration_s, width, height
FROM library_item WHERE id = ANY($1::uuid[])
UNION ALL
SELECT i.id::text AS id, i.root, i.path, i.duration_s, i.width, i.height
FROM unnest($2::text[], $3::text[]) AS u (root, path)
INNER JOIN library_item AS i ON i.root = u.root AND i.path = u.path
