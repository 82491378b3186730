-- Keep what jobs turned out to need.
INSERT INTO footprint (type, size_class, runs, run_s, need_mib)
SELECT u.type, u.size_class, u.runs, f.run_s, f.need_mib
FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::text[]) AS u (type, size_class, runs, figures)
CROSS JOIN LATERAL json_to_record(u.figures::json) AS f (run_s double precision [], need_mib double precision [])
ON CONFLICT (type, size_class) DO UPDATE SET
    runs = excluded.runs, run_s = excluded.run_s, need_mib = excluded.need_mib
