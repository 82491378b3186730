-- Mark items whose files are gone. Rows are locked in one order, the order in which items are written.
UPDATE library_item AS i
SET state = 3, reason = '', updated_at = to_timestamp($1::float8)
FROM (
    SELECT id FROM library_item WHERE id = ANY($2::uuid[]) ORDER BY root, path FOR NO KEY UPDATE
) AS gone
WHERE i.id = gone.id AND i.state <> 3
