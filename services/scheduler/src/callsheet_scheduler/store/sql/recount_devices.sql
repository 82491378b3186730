-- Let every account be the sum of its allocations; return those that were not.
UPDATE device AS d
SET allocated_mib = s.vram_mib, encoder_sessions = s.encoder_sessions
FROM (
    SELECT
        o.uuid, coalesce(sum(a.vram_mib), 0)::bigint AS vram_mib,
        coalesce(sum(a.encoder_sessions), 0)::bigint AS encoder_sessions
    FROM device AS o
    LEFT JOIN allocation AS a ON a.device = o.uuid
    GROUP BY o.uuid
) AS s
WHERE d.uuid = s.uuid AND (d.allocated_mib, d.encoder_sessions) <> (s.vram_mib, s.encoder_sessions)
RETURNING d.uuid
