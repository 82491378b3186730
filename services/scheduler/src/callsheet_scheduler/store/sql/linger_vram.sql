-- Keep leases charged that ended without proof that their processes did.
UPDATE allocation AS a
SET lingers_since = to_timestamp($3::float8)
FROM unnest($1::uuid[], $2::bigint[]) AS u (job_id, token)
WHERE a.job_id = u.job_id AND a.token = u.token
