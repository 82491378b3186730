-- The columns of a daily table, the longest first and those of any length last, so that no byte is lost to
-- alignment.
SELECT string_agg(
    format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' NOT NULL' END),
    ', ' ORDER BY greatest(t.typlen, 0) DESC, a.attnum
) AS columns
FROM pg_attribute AS a
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped
