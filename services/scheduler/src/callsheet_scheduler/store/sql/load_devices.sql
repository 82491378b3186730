-- Every account, for a new leader.
SELECT
    uuid, host, number, name, driver, capacity_mib, margin_mib, encoder_sessions_max
FROM device
