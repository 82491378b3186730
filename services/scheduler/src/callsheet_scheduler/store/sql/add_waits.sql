-- Add to what is known of waits by the hour.
INSERT INTO job_wait AS w (hour, type, category, jobs, wait_s, longest_wait_s)
SELECT to_timestamp(u.hour), u.type, u.category, u.jobs, u.wait_s, u.longest_wait_s
FROM unnest($1::float8[], $2::text[], $3::smallint[], $4::bigint[], $5::float8[], $6::float8[])
    AS u (hour, type, category, jobs, wait_s, longest_wait_s)
ON CONFLICT (hour, type, category) DO UPDATE SET
    jobs = w.jobs + excluded.jobs, wait_s = w.wait_s + excluded.wait_s,
    longest_wait_s = greatest(w.longest_wait_s, excluded.longest_wait_s)
