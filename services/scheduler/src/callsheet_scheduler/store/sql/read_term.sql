-- The number of the present leadership.
SELECT term FROM leader
