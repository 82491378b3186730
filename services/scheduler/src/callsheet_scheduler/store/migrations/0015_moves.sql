-- Places that items have left for another. What attempts that were granted before say of such a place is what
-- they saw before the file was moved.
CREATE TABLE library_left (
    root text COLLATE "C" NOT NULL,
    path text COLLATE "C" NOT NULL,
    item_id uuid NOT NULL REFERENCES library_item (id) ON DELETE CASCADE,
    left_at timestamptz NOT NULL,
    PRIMARY KEY (root, path)
);

CREATE INDEX library_left_item ON library_left (item_id, left_at);

CREATE INDEX library_left_age ON library_left (left_at);
