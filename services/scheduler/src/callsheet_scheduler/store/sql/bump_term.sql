-- Begin a new leadership under the address $1. Returns the term, the last instant that an earlier leader
-- is known to have used, and the database's own time.
UPDATE leader
SET term = term + 1, address = $1, address_term = term + 1
RETURNING term, last_at, extract(epoch FROM clock_timestamp())::double precision AS now
