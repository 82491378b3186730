-- Write that the end of leased jobs was asked for.
UPDATE job_live AS l
SET cancel_requested_at = to_timestamp(u.at)
FROM unnest($1::uuid[], $2::bigint[], $3::float8[]) AS u (id, token, at)
WHERE l.id = u.id AND l.token = u.token AND l.state = 2
