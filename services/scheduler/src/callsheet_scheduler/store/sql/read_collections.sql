-- Some collections behind a slug, with what is final of their jobs.
SELECT
    c.slug, c.title, extract(epoch FROM c.created_at)::float8 AS created_at, k.state, k.jobs,
    extract(epoch FROM k.started_at)::float8 AS started_at,
    extract(epoch FROM k.finished_at)::float8 AS finished_at
FROM (SELECT slug, title, created_at FROM collection WHERE slug > $1 ORDER BY slug LIMIT $2) AS c
LEFT JOIN collection_counter AS k ON k.slug = c.slug
ORDER BY c.slug, k.state
