-- Keep what an administrator decided of a job type.
INSERT INTO job_type_change (type, vram_mib, run_limit_s, learns_vram, changed_at, changed_by, moves_mib)
VALUES ($1, $2, $3, $4, to_timestamp($5::float8), $6, $7)
ON CONFLICT (type) DO UPDATE SET
    vram_mib = excluded.vram_mib, run_limit_s = excluded.run_limit_s, learns_vram = excluded.learns_vram,
    changed_at = excluded.changed_at, changed_by = excluded.changed_by, moves_mib = excluded.moves_mib
