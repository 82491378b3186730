-- Everything that was decided of job types, for a new leader.
SELECT type, vram_mib, run_limit_s, learns_vram, extract(EPOCH FROM changed_at)::float8 AS at, changed_by, moves_mib
FROM job_type_change
