-- Everything that is charged, oldest first, for a new leader.
SELECT
    job_id::text AS job_id, token, device, worker_id, vram_mib, encoder_sessions,
    extract(epoch FROM charged_at)::float8 AS charged_at,
    extract(epoch FROM lingers_since)::float8 AS lingers_since
FROM allocation
ORDER BY charged_at, job_id
