-- Room on each page for another version of every row on it: one transaction may grant all of them, and
-- a version that finds no room has to go into every index.
ALTER TABLE job_live SET (fillfactor = 40);
