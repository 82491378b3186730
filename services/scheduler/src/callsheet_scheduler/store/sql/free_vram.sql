-- Give back what leases are charged with, each once, and return how many were.
WITH freed AS (
    DELETE FROM allocation AS a
    USING unnest($1::uuid[], $2::bigint[]) AS u (job_id, token)
    WHERE a.job_id = u.job_id AND a.token = u.token
    RETURNING a.device, a.vram_mib, a.encoder_sessions
),

given_back AS (
    UPDATE device AS d
    SET allocated_mib = d.allocated_mib - s.vram_mib,
        encoder_sessions = d.encoder_sessions - s.encoder_sessions
    FROM (
        SELECT device, sum(vram_mib)::bigint AS vram_mib, sum(encoder_sessions)::bigint AS encoder_sessions
        FROM freed GROUP BY device
    ) AS s
    WHERE d.uuid = s.device
)

SELECT count(*) FROM freed
