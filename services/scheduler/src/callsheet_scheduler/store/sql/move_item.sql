-- Let an item go on at another place, and note the one that it leaves. Notes that no attempt can be older than
-- are dropped, and so is that of the place where it arrives.
WITH moved AS (
    UPDATE library_item SET root = $2, path = $3, updated_at = to_timestamp($1::float8) WHERE id = $4::uuid
),

dropped AS (
    DELETE FROM library_left
    WHERE (root, path) <> ($5, $6)
        AND ((root, path) = ($2, $3) OR left_at < to_timestamp($1::float8) - interval '7 days')
)

INSERT INTO library_left AS l (root, path, item_id, left_at)
VALUES ($5, $6, $4::uuid, to_timestamp($1::float8))
ON CONFLICT (root, path) DO UPDATE SET item_id = excluded.item_id, left_at = excluded.left_at
