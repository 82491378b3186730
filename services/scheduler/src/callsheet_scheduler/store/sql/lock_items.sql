-- Wait for whoever changes these items, and keep them until the transaction ends.
SELECT id FROM library_item WHERE id = ANY($1::uuid[]) ORDER BY root, path FOR NO KEY UPDATE
