-- Put what the inbox had and is no acceptable job into history, failed before it could begin. It has the second
-- of its ids where the first is another job's; one that is left twice has each only once.
INSERT INTO job_done (
    id, sequence, type, category, priority, interactive, vram_mib, max_retries, request_hash, created_at,
    params, state, token, attempt, retry_count, lost_count, capacity_count, finished_at, error
)
SELECT
    CASE
        WHEN
            u.place > 1
            OR EXISTS (SELECT FROM job_live AS l WHERE l.id = u.id)
            OR EXISTS (SELECT FROM job_done AS d WHERE d.id = u.id)
            THEN u.spare
        ELSE u.id
    END,
    u.sequence, u.type, u.category, 5, false, 0, 0, 0, to_timestamp(u.at),
    u.params::json, 6, 0, 0, 0, 0, 0, to_timestamp(u.at), u.error
FROM (
    SELECT
        s.*,
        row_number() OVER (PARTITION BY s.id ORDER BY s.sequence) AS place
    FROM unnest(
        $1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::float8[]
    ) AS s (id, spare, sequence, type, category, params, error, at)
) AS u
