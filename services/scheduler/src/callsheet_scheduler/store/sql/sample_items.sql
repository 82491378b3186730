-- Some items by chance, spread over the whole table. Of its blocks about twice as many are read as items are wanted,
-- however many there are.
SELECT id::text AS id
FROM library_item TABLESAMPLE SYSTEM (
    (SELECT least(100, 200.0 * $1::int * current_setting('block_size')::int
        / greatest(pg_relation_size('library_item'), 1)))
)
ORDER BY random()
LIMIT $1::int
