-- Forget the accounts of minutes that have passed.
DELETE FROM device_sample WHERE at < to_timestamp($1::float8)
