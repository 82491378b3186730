-- Counters by hour since an instant.
SELECT extract(epoch FROM hour)::float8 AS hour, state, type, sum(jobs)::bigint AS jobs,
    sum(run_ms)::bigint AS run_ms
FROM job_counter
WHERE hour > to_timestamp($1)
GROUP BY hour, state, type
