-- Take rows out of the inbox. One that was withdrawn, or that somebody is changing, is not returned.
DELETE FROM inbox
WHERE number = ANY(ARRAY(
    SELECT i.number FROM inbox AS i WHERE i.number = ANY($1::bigint[]) ORDER BY i.number FOR UPDATE SKIP LOCKED
))
RETURNING number
