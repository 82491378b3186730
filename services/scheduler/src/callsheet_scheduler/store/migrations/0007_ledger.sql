-- The ledger of the GPUs: an account for each, and what live leases are charged with.

-- One row for each GPU that ever was reached. It cannot be overdrawn: the sums are kept in the row, by the
-- statements that write allocations.
CREATE TABLE device (
    uuid text PRIMARY KEY,
    host text NOT NULL,
    number bigint NOT NULL,
    name text NOT NULL,
    driver text NOT NULL,
    capacity_mib bigint NOT NULL,
    margin_mib bigint NOT NULL,
    encoder_sessions_max bigint,
    allocated_mib bigint NOT NULL DEFAULT 0,
    encoder_sessions bigint NOT NULL DEFAULT 0,
    CONSTRAINT device_memory_is_not_overdrawn CHECK (
        allocated_mib BETWEEN 0 AND greatest(0, capacity_mib - margin_mib)
    ),
    CONSTRAINT device_sessions_are_not_overdrawn CHECK (
        encoder_sessions >= 0 AND (encoder_sessions_max IS NULL OR encoder_sessions <= encoder_sessions_max)
    )
) WITH (fillfactor = 50);

-- What a lease is charged with. A row lives as long as its lease, and longer where the lease ended without
-- proof that its processes did: then it lingers.
CREATE TABLE allocation (
    job_id uuid NOT NULL,
    token bigint NOT NULL,
    device text NOT NULL REFERENCES device (uuid),
    worker_id text NOT NULL,
    vram_mib bigint NOT NULL CHECK (vram_mib >= 0),
    encoder_sessions bigint NOT NULL CHECK (encoder_sessions >= 0),
    charged_at timestamptz NOT NULL,
    lingers_since timestamptz,
    PRIMARY KEY (job_id, token)
);

-- The GPU of the present or last attempt, or 'software' where a GPU job did without; null for CPU jobs.
ALTER TABLE job_live ADD COLUMN device text;
ALTER TABLE job_live ADD COLUMN peak_vram_mib bigint;

ALTER TABLE job_done ADD COLUMN device text;
ALTER TABLE job_done ADD COLUMN peak_vram_mib bigint;

ALTER TABLE job_attempt ADD COLUMN device text;
ALTER TABLE job_attempt ADD COLUMN vram_mib bigint;
ALTER TABLE job_attempt ADD COLUMN peak_vram_mib bigint;
