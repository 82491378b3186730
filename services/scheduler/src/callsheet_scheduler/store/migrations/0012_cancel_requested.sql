-- When the end of a running job was asked for, kept with the job in history.
ALTER TABLE job_done ADD COLUMN cancel_requested_at timestamptz;
