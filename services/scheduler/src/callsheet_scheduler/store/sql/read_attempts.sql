-- The ended attempts of a job that did not finish it, oldest first.
SELECT
    number, worker_id, extract(epoch FROM started_at)::float8 AS started_at,
    extract(epoch FROM ended_at)::float8 AS ended_at, outcome, error, device, vram_mib, peak_vram_mib
FROM job_attempt
WHERE job_id = $1::uuid
ORDER BY number
