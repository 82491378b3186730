-- Keep what has to be put where it was asked for.
INSERT INTO output_intent (job_id, root, path, token, staged_path)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[])
