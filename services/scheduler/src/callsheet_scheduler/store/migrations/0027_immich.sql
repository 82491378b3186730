-- What administrators decided of Immich servers; null where the controller's settings hold.
CREATE TABLE immich_server (
    name text PRIMARY KEY,
    paused_at timestamptz,
    paused_by text NOT NULL,
    queue_limit bigint,
    queue_order text []
);
