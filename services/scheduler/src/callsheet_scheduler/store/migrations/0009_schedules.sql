-- Jobs that are submitted again and again. That a firing began is written before its jobs are submitted, and
-- what it decided afterwards.
CREATE TABLE schedule (
    name text PRIMARY KEY,
    cron text NOT NULL,
    time_zone text NOT NULL,
    jitter_s double precision NOT NULL,
    catch_up smallint NOT NULL,
    catch_up_max bigint NOT NULL,
    type text NOT NULL,
    params json NOT NULL,
    priority smallint NOT NULL,
    interactive boolean NOT NULL,
    vram_mib bigint,
    max_retries smallint,
    created_at double precision NOT NULL,
    decided_at double precision NOT NULL,
    firing_at double precision,
    paused_at double precision,
    last_tick double precision,
    last_job_id uuid,
    error text
);
