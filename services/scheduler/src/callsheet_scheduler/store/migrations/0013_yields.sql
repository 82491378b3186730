-- Jobs that yield to others. Both columns change only when a job yields, and no index has them.
ALTER TABLE job_live
ADD COLUMN children uuid [],
ADD COLUMN yields smallint NOT NULL DEFAULT 0;

ALTER TABLE job_done ADD COLUMN children uuid [];
