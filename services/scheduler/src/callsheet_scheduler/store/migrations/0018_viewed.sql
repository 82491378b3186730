-- When somebody looked at an item last. No index: writing it leaves the others alone.
ALTER TABLE library_item ADD COLUMN viewed_at timestamptz;
