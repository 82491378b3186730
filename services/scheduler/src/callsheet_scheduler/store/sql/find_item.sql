-- The id of the item at a root and path.
SELECT id::text AS id FROM library_item WHERE root = $1 AND path = $2
