-- What jobs turned out to need, by type and size.

-- How large the input is, as a power of two; null where the parameters do not say.
ALTER TABLE job_live ADD COLUMN size_class smallint;
ALTER TABLE job_live ADD COLUMN out_of_vram_count smallint NOT NULL DEFAULT 0;

ALTER TABLE job_done ADD COLUMN size_class smallint;

-- What is learned of the type's need of GPU memory holds for its new jobs, instead of being proposed only.
ALTER TABLE job_type ADD COLUMN learns_vram boolean NOT NULL DEFAULT false;

-- The newest runs of a type and size class, oldest first; -1 for all sizes together.
CREATE TABLE footprint (
    type text NOT NULL,
    size_class smallint NOT NULL,
    runs bigint NOT NULL,
    run_s double precision [] NOT NULL,
    need_mib double precision [] NOT NULL,
    PRIMARY KEY (type, size_class)
);
