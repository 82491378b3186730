-- The accounts of the GPUs by the minute since an instant, oldest first.
SELECT extract(epoch FROM at)::float8 AS at, device, capacity_mib, allocated_mib, observed_mib, foreign_mib
FROM device_sample
WHERE at >= to_timestamp($1::float8)
ORDER BY at
