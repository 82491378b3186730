-- Who may use REST, and what was done over it. A key's hash is kept, never the key.
CREATE TABLE api_key (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    role smallint NOT NULL,
    sha256 bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    revoked_by text
);

CREATE TABLE audit_entry (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    address text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    status smallint NOT NULL,
    said text NOT NULL
);

CREATE INDEX audit_entry_actor ON audit_entry (actor, id);

-- What is written stays as it is; what is younger than 90 days, which retention never is, stays at all.
CREATE FUNCTION callsheet_keep_audit() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF tg_op = 'DELETE' AND old.at < now() - interval '90 days' THEN
        RETURN old;
    END IF;
    RAISE EXCEPTION 'the audit trail is only ever added to' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_entry_rows BEFORE UPDATE OR DELETE ON audit_entry
FOR EACH ROW EXECUTE FUNCTION callsheet_keep_audit();

CREATE TRIGGER audit_entry_whole BEFORE TRUNCATE ON audit_entry
FOR EACH STATEMENT EXECUTE FUNCTION callsheet_keep_audit();
