-- Mark broken the item of jobs that ended because one worker after the other died of them, where a job names
-- a single one. It stays so until a scan finds another content.
WITH ended AS MATERIALIZED (
    SELECT
        d.error,
        coalesce(
            d.params ->> 'videoId',
            CASE WHEN json_typeof(d.params -> 'itemIds') = 'array' THEN
                CASE WHEN json_array_length(d.params -> 'itemIds') = 1 THEN d.params -> 'itemIds' ->> 0 END
            END
        ) AS item
    FROM job_done AS d
    WHERE d.id = ANY($2::uuid[])
),
named AS MATERIALIZED (
    SELECT
        e.error,
        CASE
            WHEN e.item ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' THEN e.item::uuid
        END AS item_id
    FROM ended AS e
)
UPDATE library_item AS i
SET state = 2, reason = n.error, updated_at = to_timestamp($1::float8)
FROM named AS n
WHERE i.id = n.item_id AND i.state <> 3
