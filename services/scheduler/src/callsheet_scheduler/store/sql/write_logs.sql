-- Append log text; a piece that is there already stays as it is.
INSERT INTO job_log (job_id, sequence, body, attempt)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[])
ON CONFLICT DO NOTHING
