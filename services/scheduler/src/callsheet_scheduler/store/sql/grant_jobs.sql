-- Write leases. A job that is not pending, or whose token is not older, matches no row.
UPDATE job_live AS l
SET state = 2, token = u.token, attempt = u.attempt, worker_id = u.worker_id, host = u.host,
    granted_at = to_timestamp($6::float8), started_at = NULL, retry_after = NULL
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[])
    AS u (id, token, attempt, worker_id, host)
WHERE l.id = u.id AND l.state = 1 AND l.token < u.token
RETURNING l.id::text AS id, l.params::text AS params, l.checkpoint::text AS checkpoint
