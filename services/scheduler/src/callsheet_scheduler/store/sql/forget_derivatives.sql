-- Forget the derivatives of missing items, and those of content that items no longer have.
DELETE FROM library_derivative AS d
USING library_item AS i
WHERE d.item_id = ANY($1::uuid[]) AND i.id = d.item_id AND (i.state = 3 OR d.source_identity <> i.identity)
