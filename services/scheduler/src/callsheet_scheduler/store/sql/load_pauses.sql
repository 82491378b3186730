-- Every paused scope, for a new leader.
SELECT scope, extract(epoch FROM paused_at)::float8 AS at, paused_by AS by FROM queue_pause
