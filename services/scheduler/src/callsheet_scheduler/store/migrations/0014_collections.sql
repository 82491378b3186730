-- Jobs and items under one slug. What of a collection's jobs is final is counted in the turn that ends them;
-- jobs whose history is dropped go on being counted.
CREATE TABLE collection (
    slug text COLLATE "C" PRIMARY KEY,
    title text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE collection_counter (
    slug text COLLATE "C" NOT NULL,
    state smallint NOT NULL,
    jobs bigint NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (slug, state)
) WITH (fillfactor = 50);

ALTER TABLE job_live ADD COLUMN collection text;

CREATE INDEX job_live_collection ON job_live (collection, id) WHERE collection IS NOT NULL;

ALTER TABLE job_done ADD COLUMN collection text;

CREATE INDEX job_done_collection ON job_done (collection, id) WHERE collection IS NOT NULL;

ALTER TABLE library_item ADD COLUMN collection text;

CREATE INDEX library_item_collection ON library_item (collection, root, path) WHERE collection IS NOT NULL;

ALTER TABLE schedule ADD COLUMN collection text NOT NULL DEFAULT '';
