-- Keep what is known of job types.
INSERT INTO job_type (
    name, description, category, vram_mib, run_limit_s, params_schema, resumable, learns_vram, internal
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::text[], $7::boolean[], $8::boolean[],
    $9::boolean[]
)
ON CONFLICT (name) DO UPDATE SET
    description = excluded.description, category = excluded.category, vram_mib = excluded.vram_mib,
    run_limit_s = excluded.run_limit_s, params_schema = excluded.params_schema,
    resumable = excluded.resumable, learns_vram = excluded.learns_vram, internal = excluded.internal
