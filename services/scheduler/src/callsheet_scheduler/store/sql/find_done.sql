-- Which of these ids are in history, and by which lease they finished.
SELECT id::text AS id, request_hash, token, state, created_at
FROM job_done
WHERE id = ANY($1::uuid[])
