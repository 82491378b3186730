-- Remove what sources said of items, to make room for what they say now, and what anybody said of content that
-- has passed. A set of content that an item no longer has removes nothing.
DELETE FROM library_tag AS t
USING unnest($1::uuid[], $2::text[], $3::text[]) AS u (item_id, source, source_identity)
JOIN library_item AS i ON i.id = u.item_id AND i.identity = u.source_identity
WHERE t.item_id = u.item_id AND (t.source = u.source OR t.source_identity <> i.identity)
