-- What a day of history adds to the counters.
SELECT state, type, category, count(*) AS jobs
FROM job_done
GROUP BY state, type, category
