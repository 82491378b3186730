-- Tag items, as long as their content is the one that was looked at.
INSERT INTO library_tag (item_id, source, tag, score, computed_on, source_identity, job_id, created_at)
SELECT
    u.item_id, u.source, u.tag, u.score, u.computed_on, u.source_identity, u.job_id, to_timestamp($1::float8)
FROM unnest(
    $2::uuid[], $3::text[], $4::text[], $5::float8[], $6::text[], $7::text[], $8::uuid[]
) AS u (item_id, source, tag, score, computed_on, source_identity, job_id)
JOIN library_item AS i ON i.id = u.item_id AND i.identity = u.source_identity
