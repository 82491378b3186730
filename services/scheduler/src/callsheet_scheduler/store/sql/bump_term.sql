-- Begin a new leadership.
UPDATE leader SET term = term + 1 RETURNING term
