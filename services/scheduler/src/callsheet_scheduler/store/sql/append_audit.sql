-- Append to the audit trail; what is there already is passed over.
INSERT INTO audit_entry (id, at, actor, address, action, target, status, said)
SELECT u.id, to_timestamp(u.at), u.actor, u.address, u.action, u.target, u.status, u.said
FROM unnest(
    $1::uuid[], $2::float8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::text[]
) AS u (id, at, actor, address, action, target, status, said)
ON CONFLICT DO NOTHING
