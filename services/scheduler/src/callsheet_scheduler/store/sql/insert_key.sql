-- Keep a key, unless there are too many that are good, or its id or hash is known.
INSERT INTO api_key (id, name, role, sha256, created_at, created_by, expires_at)
SELECT $1::uuid, $2, $3, $4, to_timestamp($5::float8), $6, to_timestamp($7::float8)
WHERE (SELECT count(*) FROM api_key WHERE revoked_at IS NULL) < $8
ON CONFLICT DO NOTHING
