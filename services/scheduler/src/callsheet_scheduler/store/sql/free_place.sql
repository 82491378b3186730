-- Forget whoever was known at a place that another item takes: its file is not there any more, or it is the
-- same file, met by a scan before it was known to have been moved.
DELETE FROM library_item WHERE root = $1 AND path = $2 AND id <> $3::uuid
