-- Remember that a session is over.
INSERT INTO ended_session (id, expires_at) VALUES ($1, to_timestamp($2::float8)) ON CONFLICT DO NOTHING
