-- Let what a job wrote about a file that could not get its name point at the file itself, which lies beside. A
-- row that somebody else has written since is about what lies there.
WITH unplaced AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS u (job_id, root, path, staged_path)
),
items AS (
    UPDATE library_item AS i
    SET path = u.staged_path
    FROM unplaced AS u
    WHERE i.root = u.root AND i.path = u.path AND i.extra -> 'manifest' ->> 'jobId' = u.job_id::text
    RETURNING u.job_id, u.root, u.path, u.staged_path, i.extra -> 'sources' AS sources
),
named AS (
    SELECT i.job_id, i.root, i.path, i.staged_path, s.source
    FROM items AS i
    CROSS JOIN LATERAL json_array_elements_text(
        CASE WHEN json_typeof(i.sources) = 'array' THEN i.sources ELSE '[]'::json END
    ) AS s (source)
),
sources AS MATERIALIZED (
    SELECT
        n.*,
        CASE
            WHEN n.source ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' THEN n.source::uuid
        END AS item_id
    FROM named AS n
)
UPDATE library_derivative AS d
SET path = s.staged_path
FROM sources AS s
WHERE d.item_id = s.item_id AND d.root = s.root AND d.path = s.path AND d.job_id = s.job_id
