-- Keep the limits of a scope.
INSERT INTO queue_limit (scope, per_host, per_fleet) VALUES ($1, $2, $3)
ON CONFLICT (scope) DO UPDATE SET per_host = excluded.per_host, per_fleet = excluded.per_fleet
