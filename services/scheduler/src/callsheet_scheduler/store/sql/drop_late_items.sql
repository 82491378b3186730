-- Drop those of these items which are what another item was before it was moved, seen by an attempt that was
-- granted before that. Returns in whose stead.
DELETE FROM library_item AS late
USING library_left AS l
JOIN library_item AS i ON i.id = l.item_id
WHERE late.id = ANY($1::uuid[]) AND (late.root, late.path) = (l.root, l.path) AND late.id <> i.id
    AND late.identity = i.identity AND l.left_at >= $2::timestamptz
RETURNING late.root, late.path, i.id::text AS id
