-- Every known job type.
SELECT name, description, category, vram_mib, run_limit_s, params_schema, resumable, learns_vram, internal
FROM job_type ORDER BY name
