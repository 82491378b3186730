-- One collection, with what is final of its jobs.
SELECT
    c.slug, c.title, extract(epoch FROM c.created_at)::float8 AS created_at, k.state, k.jobs,
    extract(epoch FROM k.started_at)::float8 AS started_at,
    extract(epoch FROM k.finished_at)::float8 AS finished_at
FROM collection AS c
LEFT JOIN collection_counter AS k ON k.slug = c.slug
WHERE c.slug = $1
