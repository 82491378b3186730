-- Hold the job's row as long as rows are written under its lease. Another lease, or none, matches no row.
SELECT id, collection, granted_at FROM job_live WHERE id = $1::uuid AND token = $2 AND state = 2 FOR SHARE
