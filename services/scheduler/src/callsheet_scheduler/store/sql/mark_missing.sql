-- Mark items whose files are gone. One that was moved since the attempt was granted was looked for where it
-- lay before. Its row is locked already, so that a move is seen.
UPDATE library_item AS i
SET state = 3, reason = '', updated_at = to_timestamp($1::float8)
WHERE i.id = ANY($2::uuid[]) AND i.state <> 3
    AND NOT EXISTS (
        SELECT 1 FROM library_left AS l WHERE l.item_id = i.id AND l.left_at >= $3::timestamptz
    )
