-- Who asked for a job; NULL for nobody in particular.
ALTER TABLE job_live ADD COLUMN submitted_by text;

CREATE INDEX job_live_submitted_by ON job_live (submitted_by, id) WHERE submitted_by IS NOT NULL;

ALTER TABLE job_done ADD COLUMN submitted_by text;

CREATE INDEX job_done_submitted_by ON job_done (submitted_by, id) WHERE submitted_by IS NOT NULL;
