-- Forget outputs that are settled.
DELETE FROM output_intent AS o
USING unnest($1::uuid[], $2::text[], $3::text[]) AS u (job_id, root, path)
WHERE o.job_id = u.job_id AND o.root = u.root AND o.path = u.path
