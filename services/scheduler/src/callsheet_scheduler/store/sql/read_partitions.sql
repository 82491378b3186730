-- The daily tables of history, oldest first: in their place, on their way out, or out already.
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
ORDER BY day, parent
