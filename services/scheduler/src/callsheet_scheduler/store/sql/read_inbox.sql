-- What applications left, in the order of its numbers; what somebody is changing is for the next time. No row is
-- read that is larger than one that could be accepted: longer texts are cut, longer parameters left out.
SELECT
    number, coalesce(id::text, '') AS id, coalesce(left(type, 200), '') AS type,
    CASE WHEN params IS NULL THEN '{}' WHEN octet_length(params::text) <= $2 THEN params::text END AS params,
    priority, coalesce(interactive, false) AS interactive, vram_mib, max_retries,
    extract(EPOCH FROM run_at)::float8 AS run_at,
    ARRAY(SELECT coalesce(d.id::text, '') FROM unnest(depends_on) AS d (id) LIMIT 1001) AS depends_on,
    coalesce(left(unique_key, 201), '') AS unique_key, coalesce(left(collection, 201), '') AS collection
FROM inbox
ORDER BY number
LIMIT $1
FOR UPDATE SKIP LOCKED
