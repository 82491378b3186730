-- Add to the counters of an hour and of all history.
INSERT INTO job_counter AS c (hour, state, type, category, jobs, run_ms)
SELECT
    CASE WHEN u.hour IS NULL THEN '-infinity'::timestamptz ELSE to_timestamp(u.hour) END,
    u.state, u.type, u.category, u.jobs, u.run_ms
FROM unnest($1::float8[], $2::smallint[], $3::text[], $4::smallint[], $5::bigint[], $6::bigint[])
    AS u (hour, state, type, category, jobs, run_ms)
ON CONFLICT (hour, state, type, category)
DO UPDATE SET jobs = c.jobs + excluded.jobs, run_ms = c.run_ms + excluded.run_ms
