-- Note on leased jobs how much GPU memory their attempt, which ended, had held at most.
UPDATE job_live AS l
SET peak_vram_mib = u.peak_vram_mib
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS u (id, token, peak_vram_mib)
WHERE l.id = u.id AND l.token = u.token
