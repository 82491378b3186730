-- Note on leased GPU jobs which GPU they were given.
UPDATE job_live AS l
SET device = u.device, peak_vram_mib = NULL
FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS u (id, token, device)
WHERE l.id = u.id AND l.token = u.token
