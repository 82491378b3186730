-- How much is cached: derivatives, thumbnails among them, and the size of the items' table.
SELECT
    count(*) AS derivative_count,
    coalesce(sum(size_bytes), 0)::bigint AS derivative_bytes,
    count(*) FILTER (WHERE kind = 'thumbnail') AS thumbnail_count,
    coalesce(sum(size_bytes) FILTER (WHERE kind = 'thumbnail'), 0)::bigint AS thumbnail_bytes,
    pg_total_relation_size('library_item') AS item_bytes
FROM library_derivative
