-- Forget sessions whose cookies have expired.
DELETE FROM ended_session WHERE expires_at < to_timestamp($1::float8)
