-- The daily tables of history, oldest first: in their place, on their way out, or out already. A table that
-- is in no place is one of them by its comment; others may bear such names too.
SELECT
    p.relname AS parent, right(c.relname, 8) AS day,
    CASE
        WHEN i.inhrelid IS NULL THEN 'detached'
        WHEN i.inhdetachpending THEN 'detaching'
        ELSE 'attached'
    END AS place
FROM pg_class AS p
JOIN pg_class AS c ON c.relnamespace = p.relnamespace AND c.relname ~ ('^' || p.relname || '_[0-9]{8}$')
LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid AND i.inhparent = p.oid
WHERE p.oid = ANY($1::text[]::regclass[]) AND c.relkind = 'r'
    AND (i.inhrelid IS NOT NULL OR obj_description(c.oid, 'pg_class') = $2)
ORDER BY day, parent
