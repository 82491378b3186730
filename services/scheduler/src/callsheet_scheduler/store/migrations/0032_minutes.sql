-- How long jobs waited before their first attempts, in seconds, by the hour in which these were granted.
CREATE TABLE job_wait (
    hour timestamptz NOT NULL,
    type text NOT NULL,
    category smallint NOT NULL,
    jobs bigint NOT NULL,
    wait_s double precision NOT NULL,
    longest_wait_s double precision NOT NULL,
    PRIMARY KEY (hour, type, category)
);

-- What came, what ended and how long it had waited, by the hour, for readers.
CREATE VIEW job_hours AS
SELECT
    hour, type,
    CASE category WHEN 1 THEN 'cpu' WHEN 2 THEN 'gpu_encode' WHEN 3 THEN 'gpu_ai' END AS resource_category,
    sum(created)::bigint AS created,
    sum(completed)::bigint AS completed,
    sum(failed)::bigint AS failed,
    sum(cancelled)::bigint AS cancelled,
    sum(run_s)::float8 AS run_s,
    sum(waited)::bigint AS waited,
    sum(wait_s)::float8 AS wait_s,
    max(longest_wait_s) AS longest_wait_s
FROM (
    SELECT
        hour, type, category,
        CASE WHEN state = 1 THEN jobs ELSE 0 END AS created,
        CASE WHEN state = 5 THEN jobs ELSE 0 END AS completed,
        CASE WHEN state = 6 THEN jobs ELSE 0 END AS failed,
        CASE WHEN state = 7 THEN jobs ELSE 0 END AS cancelled,
        CASE WHEN state = 5 THEN run_ms / 1000.0 ELSE 0 END AS run_s,
        0 AS waited, 0 AS wait_s, NULL::double precision AS longest_wait_s
    FROM job_counter
    WHERE hour > '-infinity'
    UNION ALL
    SELECT hour, type, category, 0, 0, 0, 0, 0, jobs, wait_s, longest_wait_s
    FROM job_wait
) AS one
GROUP BY hour, type, category;

-- The accounts of the GPUs once a minute, in MiB; observed and foreign are null without a fresh reading.
CREATE TABLE device_sample (
    at timestamptz NOT NULL,
    device text NOT NULL,
    capacity_mib bigint NOT NULL,
    allocated_mib bigint NOT NULL,
    observed_mib bigint,
    foreign_mib bigint,
    PRIMARY KEY (at, device)
);

-- The same for readers, under names that REST has as well.
CREATE VIEW gpu_history AS
SELECT
    s.at, s.device AS uuid, d.host, d.name,
    s.capacity_mib AS capacity_mb,
    s.allocated_mib AS allocated_mb,
    s.observed_mib AS observed_mb,
    s.foreign_mib AS foreign_mb
FROM device_sample AS s
LEFT JOIN device AS d ON d.uuid = s.device;
