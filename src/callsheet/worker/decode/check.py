"""Says whether a file is whole, as closely as asked: by its headers, its packets, or every frame."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from av.audio.stream import AudioStream
from av.stream import Stream
from av.video.stream import VideoStream

from callsheet.media import kinds
from callsheet.media.facts import MediaFacts
from callsheet.media.faults import MediaFaultError, truncated, undecodable
from callsheet.media.kinds import Family
from callsheet.media.wholeness import doubts
from callsheet.worker.decode import container, document, still
from callsheet.worker.decode.meter import Meter
from callsheet.worker.decode.probe import facts_of
from callsheet.worker.decode.source import Source
from callsheet.worker.decode.works import CheckArguments, Checked
from callsheet.worker.sandbox.work import Answer

_PAGES_DRAWN: Final = 200
_PAGE_SIDE_PX: Final = 400


@dataclass(slots=True)
class _Seen:
    """What has been read so far."""

    meter: Meter
    promised_s: float | None = None
    packets: int = 0
    frames: int = 0
    reached_s: float = 0.0
    begins: dict[int, int] = field(default_factory=dict[int, int])
    """Of each stream, where its time begins, by its index."""
    warnings: list[str] = field(default_factory=list[str])


def check(arguments: CheckArguments, descriptors: Sequence[int]) -> Answer[Checked]:
    """Check the file behind the first descriptor; say on the second, if there is one, how far it is."""
    source = Source(descriptors[0])
    identity, family = source.identity(), kinds.sniff(source.head)
    seen = _Seen(meter=Meter(descriptors[1] if len(descriptors) > 1 else None))
    facts = fault = None
    try:
        facts = facts_of(source, family, arguments.limits)
        if arguments.depth != "probe":
            seen.warnings += doubts(family, source.read_at, source.size_bytes)
            _read(source, family, facts, seen, arguments)
    except MediaFaultError as error:
        fault = error.fault
    checked = Checked(
        identity=identity,
        facts=facts,
        fault=fault,
        warnings=tuple(seen.warnings),
        packets=seen.packets,
        frames=seen.frames,
        read_s=round(seen.reached_s, 3),
    )
    return Answer(value=checked)


def _read(
    source: Source, family: Family | None, facts: MediaFacts, seen: _Seen, arguments: CheckArguments
) -> None:
    if family is not None and family in kinds.PICTURES:
        with still.opened_picture(source, family, arguments.limits) as image:
            image.verify()  # checksums, where the format has them
        with still.opened_picture(source, family, arguments.limits) as image:
            still.pixels(image, family, image.size, source)
            seen.frames += 1
        if family is Family.JPEG and still.ends_early(source):
            seen.warnings.append("its data ends within a scan: the picture may be coarse in parts")
    elif family is Family.PDF:
        _read_pages(source, seen, arguments)
    else:
        with container.opened(source, family, arguments.limits) as media:
            seen.promised_s = facts.duration_s
            if arguments.depth == "decode":
                _decode(media, seen)
            else:
                _demux(media, seen)
            _compare(facts.duration_s, seen)


def _read_pages(source: Source, seen: _Seen, arguments: CheckArguments) -> None:
    with document.opened_document(source, arguments.limits) as opened:
        count = min(len(opened), _PAGES_DRAWN)
        for number in range(count):
            seen.meter.say(number, count)
            if arguments.depth == "decode":
                document.render_page(opened, _PAGE_SIDE_PX, number)
            else:
                document.page_size(opened, number)
            seen.frames += 1


def _demux(media: container.Opened, seen: _Seen) -> None:
    corrupt = 0
    with container.decoder_errors("reading its packets"):
        for packet in media.container.demux():
            if packet.dts is None and packet.pts is None:
                continue
            seen.packets += 1
            corrupt += packet.is_corrupt
            _reach(seen, packet.stream, packet.pts, packet.duration)
    if corrupt:
        seen.warnings.append(f"{corrupt} of {seen.packets} packets are marked as damaged")


def _decode(media: container.Opened, seen: _Seen) -> None:
    streams = [stream for stream in (media.video, media.audio) if stream is not None]
    for stream in streams:
        stream.codec_context.options = {"err_detect": "explode"}
    if media.video is not None:
        media.video.codec_context.skip_frame = "DEFAULT"
    with container.decoder_errors("decoding every frame"):
        for packet in media.container.demux(*streams):
            seen.packets += packet.size > 0
            _reach(seen, packet.stream, packet.pts, packet.duration)
            seen.frames += _decoded(packet.stream, len(packet.decode()))
    if media.video is not None and seen.frames == 0:
        raise undecodable("no frame of it can be decoded")


def _decoded(stream: Stream, count: int) -> int:
    return count if isinstance(stream, VideoStream | AudioStream) else 0


def _reach(seen: _Seen, stream: Stream, pts: int | None, duration: int | None) -> None:
    if pts is None or stream.time_base is None or not isinstance(stream, VideoStream | AudioStream):
        return
    # Where the header does not say when a stream begins, the decoder makes something up on the way.
    begin = seen.begins.setdefault(stream.index, pts if stream.start_time is None else stream.start_time)
    seen.reached_s = max(seen.reached_s, float((pts - begin + (duration or 0)) * stream.time_base))
    seen.meter.say(seen.reached_s, seen.promised_s)


def _compare(promised_s: float | None, seen: _Seen) -> None:
    """Hold the header's duration against the end of the last packet."""
    if promised_s is None:
        seen.warnings.append("its header does not say how long it is")
        return
    allowed = container.tolerance_s(promised_s)
    if seen.reached_s < promised_s - allowed:
        raise truncated(f"its header promises {promised_s:.1f} s, its content ends at {seen.reached_s:.1f} s")
    if seen.reached_s > promised_s + allowed:
        seen.warnings.append(f"its header says {promised_s:.1f} s, its content lasts {seen.reached_s:.1f} s")
