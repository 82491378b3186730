-- Items by kind and state, and how many have a thumbnail of their present content.
SELECT i.kind, i.state, count(*) AS items, count(t.item_id) AS with_thumbnail
FROM library_item AS i
LEFT JOIN (
    SELECT DISTINCT item_id, source_identity FROM library_derivative WHERE kind = 'thumbnail'
) AS t ON t.item_id = i.id AND t.source_identity = i.identity
GROUP BY i.kind, i.state
ORDER BY i.kind, i.state
