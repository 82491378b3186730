-- Pauses, limits and drains; jobs that are paused with a checkpoint; outputs that were asked for by path.

ALTER TABLE job_live ADD COLUMN root text;
ALTER TABLE job_live ADD COLUMN pause_requested_at timestamptz;
ALTER TABLE job_live ADD COLUMN checkpoint json;

ALTER TABLE job_done ADD COLUMN root text;
ALTER TABLE job_done ADD COLUMN stop_rung smallint;

ALTER TABLE job_type ADD COLUMN resumable boolean NOT NULL DEFAULT false;

CREATE INDEX job_live_parent_idx ON job_live (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX job_done_parent_idx ON job_done (parent_id, id) WHERE parent_id IS NOT NULL;

-- Scopes that get no leases: all, a category, or a job type.
CREATE TABLE queue_pause (
    scope text PRIMARY KEY,
    paused_at timestamptz NOT NULL,
    paused_by text NOT NULL
);

-- How many jobs of a scope may run at once, on one host and in the whole fleet; null where that was
-- not said.
CREATE TABLE queue_limit (
    scope text PRIMARY KEY,
    per_host bigint,
    per_fleet bigint
);

-- Workers that get no leases, and how many seconds their attempts may go on.
CREATE TABLE worker_drain (
    worker_id text PRIMARY KEY,
    grace_s double precision,
    drained_at timestamptz NOT NULL,
    drained_by text NOT NULL
);

-- Committed outputs that do not lie yet where they were asked for.
CREATE TABLE output_intent (
    job_id uuid NOT NULL,
    root text NOT NULL,
    path text NOT NULL,
    token bigint NOT NULL,
    staged_path text NOT NULL,
    PRIMARY KEY (job_id, root, path)
);
