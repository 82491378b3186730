-- Open the accounts of GPUs, or keep new bounds of them.
INSERT INTO device (
    uuid, host, number, name, driver, capacity_mib, margin_mib, encoder_sessions_max
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[]
)
ON CONFLICT (uuid) DO UPDATE SET
    host = excluded.host, number = excluded.number, name = excluded.name, driver = excluded.driver,
    capacity_mib = excluded.capacity_mib, margin_mib = excluded.margin_mib,
    encoder_sessions_max = excluded.encoder_sessions_max
