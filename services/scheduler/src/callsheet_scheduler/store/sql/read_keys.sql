-- Some keys older than an id, newest first.
SELECT
    id::text AS id, name, role, sha256, extract(epoch FROM created_at)::float8 AS created_at, created_by,
    extract(epoch FROM expires_at)::float8 AS expires_at,
    extract(epoch FROM last_used_at)::float8 AS last_used_at,
    extract(epoch FROM revoked_at)::float8 AS revoked_at, coalesce(revoked_by, '') AS revoked_by
FROM api_key
WHERE id < $1::uuid
ORDER BY id DESC
LIMIT $2
