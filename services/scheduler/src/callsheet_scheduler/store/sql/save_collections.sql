-- Make collections; a title that is given replaces the one that is there.
INSERT INTO collection AS c (slug, title, created_at)
SELECT u.slug, $2, to_timestamp($3::float8)
FROM unnest($1::text[]) AS u (slug)
ON CONFLICT (slug) DO UPDATE SET title = excluded.title
WHERE excluded.title <> '' AND excluded.title <> c.title
