-- The decisions of a turn are one statement, which has to notice by itself that the tables are not as the
-- leader holds them to be: then it fails as a whole.
CREATE FUNCTION agreed(what text, got bigint, wanted bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF got <> wanted THEN
        RAISE EXCEPTION '% jobs were % instead of %', got, what, wanted USING ERRCODE = 'assert_failure';
    END IF;
    RETURN true;
END
$$;
