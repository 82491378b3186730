-- Every limit that was changed, for a new leader.
SELECT scope, per_host, per_fleet FROM queue_limit
