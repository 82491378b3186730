-- The queue, its history, and the library.

-- One row: the number of the present leadership. Grows with every takeover.
CREATE TABLE leader (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    term bigint NOT NULL
);

INSERT INTO leader (term) VALUES (0);

-- Every job type that ever was offered.
CREATE TABLE job_type (
    name text PRIMARY KEY,
    description text NOT NULL,
    category smallint NOT NULL,
    vram_mib bigint NOT NULL,
    run_limit_s bigint NOT NULL,
    params_schema text NOT NULL
);

-- Jobs that are not final. No index on a column that changes, and room on every page, so that an
-- update stays on its page and touches no index.
CREATE TABLE job_live (
    id uuid PRIMARY KEY,
    sequence bigint NOT NULL,
    type text NOT NULL,
    category smallint NOT NULL,
    priority smallint NOT NULL,
    interactive boolean NOT NULL,
    vram_mib bigint NOT NULL,
    max_retries smallint NOT NULL,
    request_hash bigint NOT NULL,
    parent_id uuid,
    created_at timestamptz NOT NULL,
    run_at timestamptz,
    params json NOT NULL,
    state smallint NOT NULL,
    token bigint NOT NULL,
    attempt bigint NOT NULL,
    retry_count smallint NOT NULL,
    lost_count smallint NOT NULL,
    capacity_count smallint NOT NULL,
    retry_after timestamptz,
    worker_id text,
    host text,
    granted_at timestamptz,
    started_at timestamptz,
    cancel_requested_at timestamptz,
    error text
) WITH (
    fillfactor = 60,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);

-- Jobs that are final. Partitioned by the instant in their UUIDv7.
CREATE TABLE job_done (
    id uuid NOT NULL,
    sequence bigint NOT NULL,
    type text NOT NULL,
    category smallint NOT NULL,
    priority smallint NOT NULL,
    interactive boolean NOT NULL,
    vram_mib bigint NOT NULL,
    max_retries smallint NOT NULL,
    request_hash bigint NOT NULL,
    parent_id uuid,
    created_at timestamptz NOT NULL,
    run_at timestamptz,
    params json NOT NULL,
    state smallint NOT NULL,
    token bigint NOT NULL,
    attempt bigint NOT NULL,
    retry_count smallint NOT NULL,
    lost_count smallint NOT NULL,
    capacity_count smallint NOT NULL,
    worker_id text,
    host text,
    granted_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz NOT NULL,
    error text,
    result json,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE INDEX job_done_type_idx ON job_done (type, id);
CREATE INDEX job_done_state_idx ON job_done (state, id) WHERE state <> 5;

-- Attempts that ended without finishing their job; the last attempt's facts lie on the job's row.
CREATE TABLE job_attempt (
    job_id uuid NOT NULL,
    number bigint NOT NULL,
    token bigint NOT NULL,
    worker_id text,
    started_at timestamptz,
    ended_at timestamptz NOT NULL,
    outcome text NOT NULL,
    error text,
    PRIMARY KEY (job_id, number)
) PARTITION BY RANGE (job_id);

-- Log text in pieces. Marks that the scheduler sets have sequences from 1,000,000 on.
CREATE TABLE job_log (
    job_id uuid NOT NULL,
    attempt bigint NOT NULL,
    sequence bigint NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (job_id, attempt, sequence)
) PARTITION BY RANGE (job_id);

-- How many jobs were created (state 1) or became completed (5), failed (6) or cancelled (7), by hour;
-- the hour -infinity holds the sums of all kept history.
CREATE TABLE job_counter (
    hour timestamptz NOT NULL,
    state smallint NOT NULL,
    type text NOT NULL,
    category smallint NOT NULL,
    jobs bigint NOT NULL,
    run_ms bigint NOT NULL,
    PRIMARY KEY (hour, state, type, category)
) WITH (fillfactor = 50);

-- Originals. Paths sort by their bytes whatever the database's locale, so that a folder is a range.
CREATE TABLE library_item (
    id uuid PRIMARY KEY,
    root text COLLATE "C" NOT NULL,
    path text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    state smallint NOT NULL,
    reason text NOT NULL,
    size_bytes bigint NOT NULL,
    mtime_ns bigint NOT NULL,
    identity text NOT NULL,
    width bigint NOT NULL,
    height bigint NOT NULL,
    duration_s double precision,
    format text NOT NULL,
    video_codec text NOT NULL,
    audio_codec text NOT NULL,
    rotation smallint NOT NULL,
    frame_rate double precision NOT NULL,
    bitrate_kbps bigint NOT NULL,
    pages bigint NOT NULL,
    extra json NOT NULL,
    public boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (root, path)
);

-- What is made from originals. The row is what makes a file the derivative.
CREATE TABLE library_derivative (
    item_id uuid NOT NULL REFERENCES library_item (id) ON DELETE CASCADE,
    kind text NOT NULL,
    recipe text NOT NULL,
    source_identity text NOT NULL,
    root text NOT NULL,
    path text NOT NULL,
    media_type text NOT NULL,
    width bigint NOT NULL,
    height bigint NOT NULL,
    size_bytes bigint NOT NULL,
    inline bytea NOT NULL,
    job_id uuid NOT NULL,
    token bigint NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (item_id, kind, recipe)
);
