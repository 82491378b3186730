-- Append log text; a piece that is there already stays as it is.
INSERT INTO job_log (job_id, attempt, sequence, body)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[])
ON CONFLICT DO NOTHING
