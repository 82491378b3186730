-- Append log text of attempts that may have ended, found by their leases; a piece that is there already
-- stays as it is.
INSERT INTO job_log (job_id, attempt, sequence, body)
SELECT u.job_id, coalesce(l.attempt, d.attempt, a.number), u.sequence, u.body
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[]) AS u (job_id, sequence, body, token)
LEFT JOIN job_live AS l ON l.id = u.job_id AND l.token = u.token
LEFT JOIN job_done AS d ON d.id = u.job_id AND d.token = u.token
LEFT JOIN job_attempt AS a ON a.job_id = u.job_id AND a.token = u.token
WHERE coalesce(l.attempt, d.attempt, a.number) IS NOT NULL
ON CONFLICT DO NOTHING
