-- Forget the counters of hours that have passed.
DELETE FROM job_counter WHERE hour > '-infinity' AND hour < to_timestamp($1::float8)
