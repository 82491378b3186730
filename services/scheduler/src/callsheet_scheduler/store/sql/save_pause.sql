-- Keep that a scope is paused.
INSERT INTO queue_pause (scope, paused_at, paused_by) VALUES ($1, to_timestamp($2::float8), $3)
ON CONFLICT (scope) DO NOTHING
