-- Who leads, and how far its instants have come. A release that knows no address raises the term alone:
-- an address counts only where its term is the present one.
ALTER TABLE leader
    ADD COLUMN address text NOT NULL DEFAULT '',
    ADD COLUMN address_term bigint NOT NULL DEFAULT 0,
    ADD COLUMN last_at double precision NOT NULL DEFAULT 0;
