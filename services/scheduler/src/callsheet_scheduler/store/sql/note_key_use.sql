-- Note that a key is used.
UPDATE api_key SET last_used_at = to_timestamp($2::float8) WHERE id = $1::uuid
