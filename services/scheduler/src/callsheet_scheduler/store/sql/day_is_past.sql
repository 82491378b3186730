-- Whether a range of ids holds no live job and nothing that finished since an instant.
SELECT
    NOT EXISTS (SELECT FROM job_live WHERE id >= $1::uuid AND id < $2::uuid)
    AND NOT EXISTS (
        SELECT FROM job_done WHERE id >= $1::uuid AND id < $2::uuid AND finished_at >= to_timestamp($3::float8)
    )
