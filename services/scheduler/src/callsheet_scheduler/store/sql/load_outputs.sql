-- Every output that is not settled, for a new leader.
SELECT job_id::text AS job_id, token, root, staged_path, path FROM output_intent
