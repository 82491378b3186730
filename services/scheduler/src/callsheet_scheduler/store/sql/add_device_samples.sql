-- Keep how the accounts of the GPUs stand in a minute; the first who says it is right.
INSERT INTO device_sample (at, device, capacity_mib, allocated_mib, observed_mib, foreign_mib)
SELECT to_timestamp($1::float8), u.device, u.capacity_mib, u.allocated_mib, u.observed_mib, u.foreign_mib
FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
    AS u (device, capacity_mib, allocated_mib, observed_mib, foreign_mib)
ON CONFLICT (at, device) DO NOTHING
