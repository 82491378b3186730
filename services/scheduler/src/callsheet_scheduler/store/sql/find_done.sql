-- Which of these ids are in history, and by which lease they finished. The least and the greatest of them
-- leave the other days alone.
SELECT id::text AS id, request_hash, token, state, created_at
FROM job_done
WHERE id = ANY($1::uuid[]) AND id >= $2::uuid AND id <= $3::uuid
