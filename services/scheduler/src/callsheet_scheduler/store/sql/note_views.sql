-- Items that somebody looked at; those noted a moment ago are left alone.
UPDATE library_item
SET viewed_at = to_timestamp($2)
WHERE id = ANY($1::uuid[]) AND (viewed_at IS NULL OR viewed_at < to_timestamp($2) - interval '10 minutes')
