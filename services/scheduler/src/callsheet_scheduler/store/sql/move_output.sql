-- Let what is made of these items point to where its file lies.
UPDATE library_derivative SET root = $2, path = $3
WHERE item_id = ANY($1::uuid[]) AND root = $4 AND path = $5
