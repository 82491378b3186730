-- Every schedule, for a new leader.
SELECT
    name, cron, time_zone, jitter_s, catch_up, catch_up_max, type, params::text AS params, priority,
    interactive, vram_mib, max_retries, created_at, decided_at, firing_at, paused_at, last_tick,
    last_job_id::text AS last_job_id, error, unique_key, collection
FROM schedule
