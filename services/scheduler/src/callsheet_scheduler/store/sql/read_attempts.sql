-- The ended attempts of a job that did not finish it, oldest first.
SELECT number, worker_id, started_at, ended_at, outcome, error
FROM job_attempt
WHERE job_id = $1::uuid
ORDER BY number
