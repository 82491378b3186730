-- The W3C trace context of the call that submitted a job; null where nobody traces.
ALTER TABLE job_live ADD COLUMN trace text;
