-- Insert items, or replace what is known of those at the same root and path. What is shown to
-- everybody stays shown, and what is in a collection stays there: a scan that does not know of it must not
-- hide it.
INSERT INTO library_item AS i (
    id, root, path, kind, state, reason, size_bytes, mtime_ns, identity, width, height, duration_s,
    format, video_codec, audio_codec, rotation, frame_rate, bitrate_kbps, pages, extra, public,
    collection, created_at, updated_at
)
SELECT
    u.id, u.root, u.path, u.kind, u.state, u.reason, u.size_bytes, u.mtime_ns, u.identity, u.width,
    u.height, u.duration_s, u.format, u.video_codec, u.audio_codec, u.rotation, u.frame_rate,
    u.bitrate_kbps, u.pages, u.extra::json, u.public, u.collection, to_timestamp($1::float8), to_timestamp($1::float8)
FROM unnest(
    $2::uuid[], $3::text[], $4::text[], $5::smallint[], $6::smallint[], $7::text[], $8::bigint[],
    $9::bigint[], $10::text[], $11::bigint[], $12::bigint[], $13::float8[], $14::text[], $15::text[],
    $16::text[], $17::smallint[], $18::float8[], $19::bigint[], $20::bigint[], $21::text[],
    $22::boolean[], $23::text[]
) AS u (
    id, root, path, kind, state, reason, size_bytes, mtime_ns, identity, width, height, duration_s,
    format, video_codec, audio_codec, rotation, frame_rate, bitrate_kbps, pages, extra, public, collection
)
ON CONFLICT (root, path) DO UPDATE SET
    kind = excluded.kind, state = excluded.state, reason = excluded.reason,
    size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, identity = excluded.identity,
    width = excluded.width, height = excluded.height, duration_s = excluded.duration_s,
    format = excluded.format, video_codec = excluded.video_codec, audio_codec = excluded.audio_codec,
    rotation = excluded.rotation, frame_rate = excluded.frame_rate,
    bitrate_kbps = excluded.bitrate_kbps, pages = excluded.pages, extra = excluded.extra,
    public = i.public OR excluded.public, collection = coalesce(excluded.collection, i.collection),
    updated_at = excluded.updated_at
RETURNING i.id::text AS id, i.root, i.path
