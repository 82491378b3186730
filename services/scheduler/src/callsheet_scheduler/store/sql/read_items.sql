-- Several items.
SELECT
    i.id::text AS id, i.root, i.path, i.kind, i.state, i.reason, i.size_bytes, i.mtime_ns, i.identity,
    i.width, i.height, i.duration_s, i.format, i.video_codec, i.audio_codec, i.rotation, i.frame_rate,
    i.bitrate_kbps, i.pages, i.extra::text AS extra, i.public, i.collection,
    extract(epoch FROM i.viewed_at)::float8 AS viewed_at,
    extract(epoch FROM i.created_at)::float8 AS created_at,
    extract(epoch FROM i.updated_at)::float8 AS updated_at
FROM library_item AS i
WHERE i.id = ANY($1::uuid[])
ORDER BY i.root, i.path
