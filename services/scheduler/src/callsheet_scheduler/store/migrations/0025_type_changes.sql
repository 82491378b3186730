-- What administrators decided of job types, and types that are not for people.

-- Jobs of the type are submitted by other jobs.
ALTER TABLE job_type ADD COLUMN internal boolean NOT NULL DEFAULT false;

-- What holds instead of what a type declares; null where that holds.
CREATE TABLE job_type_change (
    type text PRIMARY KEY,
    vram_mib bigint,
    run_limit_s bigint,
    learns_vram boolean,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    -- Jobs that waited then with one of these figures are still to be given that of the type.
    moves_mib bigint [] NOT NULL
);
