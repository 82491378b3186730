-- Finished jobs of all kept history, by state and category.
SELECT state, category, sum(jobs)::bigint AS jobs
FROM job_counter
WHERE hour = '-infinity' AND state > 4
GROUP BY state, category
