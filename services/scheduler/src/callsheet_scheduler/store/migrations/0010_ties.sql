-- Jobs that need others, and unique keys. None of these columns changes while a job lives.
ALTER TABLE job_live
ADD COLUMN needs uuid [],
ADD COLUMN if_needed_fails smallint,
ADD COLUMN unique_key text;

CREATE UNIQUE INDEX job_live_unique_key ON job_live (unique_key) WHERE unique_key IS NOT NULL;

ALTER TABLE job_done
ADD COLUMN needs uuid [],
ADD COLUMN if_needed_fails smallint,
ADD COLUMN unique_key text;
