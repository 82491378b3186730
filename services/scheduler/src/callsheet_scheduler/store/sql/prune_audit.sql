-- Drop the entries of the audit trail with ids below one.
DELETE FROM audit_entry WHERE id < $1::uuid AND at < to_timestamp($2::float8)
