-- Some of the jobs that a job has yielded to, in the order given; no row where there is no such job.
SELECT coalesce(children[$2::int + 1:$2::int + $3::int], '{}')::text[] AS ids
FROM job_live
WHERE id = $1::uuid
UNION ALL
SELECT coalesce(children[$2::int + 1:$2::int + $3::int], '{}')::text[]
FROM job_done
WHERE id = $1::uuid
