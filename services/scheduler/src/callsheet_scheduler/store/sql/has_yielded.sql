-- Whether an attempt ended because the job yielded to others.
SELECT EXISTS (SELECT FROM job_attempt WHERE job_id = $1::uuid AND token = $2 AND outcome = 'yielded')
