-- Keep a schedule as it is.
INSERT INTO schedule (
    name, cron, time_zone, jitter_s, catch_up, catch_up_max, type, params, priority, interactive, vram_mib,
    max_retries, created_at, decided_at, firing_at, paused_at, last_tick, last_job_id, error,
    unique_key, collection
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8::json, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18::uuid, $19, $20,
    $21
)
ON CONFLICT (name) DO UPDATE SET
    cron = excluded.cron,
    time_zone = excluded.time_zone,
    jitter_s = excluded.jitter_s,
    catch_up = excluded.catch_up,
    catch_up_max = excluded.catch_up_max,
    type = excluded.type,
    params = excluded.params,
    priority = excluded.priority,
    interactive = excluded.interactive,
    vram_mib = excluded.vram_mib,
    max_retries = excluded.max_retries,
    created_at = excluded.created_at,
    decided_at = excluded.decided_at,
    firing_at = excluded.firing_at,
    paused_at = excluded.paused_at,
    last_tick = excluded.last_tick,
    last_job_id = excluded.last_job_id,
    error = excluded.error,
    unique_key = excluded.unique_key,
    collection = excluded.collection
