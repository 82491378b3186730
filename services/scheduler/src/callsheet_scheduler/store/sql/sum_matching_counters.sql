-- Finished jobs of these states, types and categories; an empty array passes all.
SELECT coalesce(sum(jobs), 0)::bigint AS jobs
FROM job_counter
WHERE hour = '-infinity'
    AND state = ANY($1::smallint[])
    AND (cardinality($2::text[]) = 0 OR type = ANY($2::text[]))
    AND (cardinality($3::smallint[]) = 0 OR category = ANY($3::smallint[]))
