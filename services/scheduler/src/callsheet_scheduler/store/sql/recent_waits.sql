-- Waits by hour since an instant.
SELECT extract(epoch FROM hour)::float8 AS hour, type, category, jobs, wait_s, longest_wait_s
FROM job_wait
WHERE hour >= to_timestamp($1::float8)
