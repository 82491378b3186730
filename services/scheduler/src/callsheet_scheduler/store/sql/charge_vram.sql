-- Charge leases to their GPUs. An account that would be overdrawn fails the statement.
WITH charged AS (
    INSERT INTO allocation (job_id, token, device, worker_id, vram_mib, encoder_sessions, charged_at)
    SELECT u.job_id, u.token, u.device, u.worker_id, u.vram_mib, u.encoder_sessions, to_timestamp(u.charged_at)
    FROM unnest(
        $1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::float8[]
    ) AS u (job_id, token, device, worker_id, vram_mib, encoder_sessions, charged_at)
    RETURNING device, vram_mib, encoder_sessions
)

UPDATE device AS d
SET allocated_mib = d.allocated_mib + s.vram_mib, encoder_sessions = d.encoder_sessions + s.encoder_sessions
FROM (
    SELECT device, sum(vram_mib)::bigint AS vram_mib, sum(encoder_sessions)::bigint AS encoder_sessions
    FROM charged GROUP BY device
) AS s
WHERE d.uuid = s.device
