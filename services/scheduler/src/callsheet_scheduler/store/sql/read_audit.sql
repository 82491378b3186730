-- Some entries of the audit trail between two ids, newest first.
SELECT
    id::text AS id, extract(epoch FROM at)::float8 AS at, actor, address, action, target, status, said
FROM audit_entry
WHERE id >= $1::uuid AND id < $2::uuid
ORDER BY id DESC
LIMIT $3
