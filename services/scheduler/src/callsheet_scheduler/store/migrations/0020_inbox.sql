-- Where applications leave jobs inside transactions of their own. Everything in it is checked when it is read, so
-- that no wrong job fails such a transaction. A job's id is a UUIDv7: the milliseconds since 1970, then chance.
CREATE FUNCTION callsheet_job_id() RETURNS uuid
LANGUAGE sql VOLATILE AS $$
    SELECT overlay(
        overlay(replace(gen_random_uuid()::text, '-', '') PLACING '7' FROM 13)
        PLACING lpad(to_hex((extract(EPOCH FROM clock_timestamp()) * 1000)::bigint), 12, '0') FROM 1
    )::uuid
$$;

CREATE TABLE inbox (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid DEFAULT callsheet_job_id(),
    type text,
    params jsonb,
    priority bigint,
    interactive boolean,
    vram_mib bigint,
    max_retries bigint,
    run_at timestamptz,
    depends_on uuid [],
    unique_key text,
    collection text
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);
