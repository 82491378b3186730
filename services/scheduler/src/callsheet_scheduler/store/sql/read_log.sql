-- The next pieces of a job's log.
SELECT attempt, sequence, body
FROM job_log
WHERE job_id = $1::uuid AND (attempt, sequence) > ($2, $3)
ORDER BY attempt, sequence
LIMIT 100
