-- Say that the leadership $1 goes on and has come to the instant $2. Changes no row once another has begun.
UPDATE leader SET last_at = greatest(last_at, $2) WHERE term = $1
