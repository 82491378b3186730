-- Try to become the one candidate, by the keys $1 and $2; and tell who led last, as far as that is known.
SELECT pg_try_advisory_lock($1, $2) AS got,
    CASE WHEN address_term = term THEN address ELSE '' END AS address
FROM leader
