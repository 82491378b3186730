-- The unique key of a schedule's jobs: no run begins while the one before lives. Empty for none.
ALTER TABLE schedule ADD COLUMN unique_key text NOT NULL DEFAULT '';
