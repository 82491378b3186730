-- Which of these missing items have the content of a row at another place, and where that is. They are locked.
SELECT i.id::text AS id, i.root AS from_root, i.path AS from_path, i.extra::text AS extra,
    u.root, u.path
FROM library_item AS i
JOIN unnest($2::text[], $3::text[], $4::text[]) AS u (root, path, identity)
    ON u.identity = i.identity AND (u.root, u.path) <> (i.root, i.path)
WHERE i.id = ANY($1::uuid[]) AND i.identity <> ''
ORDER BY i.root, i.path
FOR UPDATE OF i
