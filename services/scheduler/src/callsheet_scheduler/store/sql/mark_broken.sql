-- Mark items broken, as long as their content is the one that was found broken.
UPDATE library_item AS i
SET state = 2, reason = found.reason, updated_at = to_timestamp($1::float8)
FROM (
    SELECT l.id, u.identity, u.reason
    FROM unnest($2::uuid[], $3::text[], $4::text[]) AS u (id, identity, reason)
    JOIN library_item AS l ON l.id = u.id
    ORDER BY l.root, l.path
    FOR NO KEY UPDATE OF l
) AS found
WHERE i.id = found.id AND i.identity = found.identity AND i.state <> 3
