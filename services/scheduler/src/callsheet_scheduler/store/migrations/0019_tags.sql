-- What items are tagged with, by whom, and how sure that is. The tags of one source are replaced as a whole;
-- those of content that an item no longer has are passed over.
CREATE TABLE library_tag (
    item_id uuid NOT NULL REFERENCES library_item (id) ON DELETE CASCADE,
    source text COLLATE "C" NOT NULL,
    tag text COLLATE "C" NOT NULL,
    score double precision NOT NULL,
    computed_on text NOT NULL,
    source_identity text NOT NULL,
    job_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (item_id, source, tag)
);

CREATE INDEX library_tag_tag ON library_tag (tag, item_id);
