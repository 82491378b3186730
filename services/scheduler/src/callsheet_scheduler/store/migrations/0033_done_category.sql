-- Finished jobs of the categories that have few, in the order of lists. Those for the CPU, which most histories are
-- made of, are found by reading on, and pay for no index.
CREATE INDEX job_done_category_idx ON job_done (category, id) WHERE category <> 1;
