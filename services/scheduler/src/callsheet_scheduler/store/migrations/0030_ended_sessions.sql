-- Sessions of the page that were ended before their time: gateways refuse their cookies until these expire.
CREATE TABLE ended_session (
    id text PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
