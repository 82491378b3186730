-- Forget the waits of hours that have passed.
DELETE FROM job_wait WHERE hour < to_timestamp($1::float8)
