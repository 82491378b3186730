"""The commands of a re-encode for streaming: a copy, the whole at once, one chunk, and the join."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import ffmpeg

from callsheet.errors import BadInputError
from callsheet.media.encoders import Encoder, input_options
from callsheet.media.streaming import (
    StreamingWish,
    audio_options,
    mp4_options,
    video_filters,
    video_options,
)
from callsheet.media.survey import Chunk, Survey, VideoTrack
from callsheet.worker.encode.commands import Command, Input, command, concat_list, list_input, media_input


def pictures(survey: Survey) -> VideoTrack:
    """Return the moving pictures.

    Raises:
        BadInputError: There are none.
    """
    if survey.video is None:
        raise BadInputError("it holds no moving pictures")
    return survey.video


def copy_command(survey: Survey, source: int, output: int) -> Command:
    """Return the command that puts what conforms into a new container."""
    streams = _streams(survey, media_input(Input(fd=source)))
    return command(streams, {"c": "copy", **mp4_options()}, output=output, inputs=[source])


def whole_command(survey: Survey, wish: StreamingWish, encoder: Encoder, source: int, output: int) -> Command:
    """Return the command that encodes everything in one go."""
    video = pictures(survey)
    options = {
        "vf": ",".join(video_filters(video)),
        **video_options(video, wish, encoder),
        **audio_options(survey.audio),
        **mp4_options(),
    }
    streams = _streams(survey, media_input(Input(fd=source, options=input_options(encoder))))
    return command(streams, options, output=output, inputs=[source])


def chunk_command(
    survey: Survey, chunk: Chunk, wish: StreamingWish, encoder: Encoder, source: int, output: int
) -> Command:
    """Return the command that encodes the pictures of one chunk: exactly its frames, from instant 0 on."""
    video = pictures(survey)
    seek_s = float(video.seconds(chunk.start_pts - video.chunks[0].start_pts)) + video.start_s
    options = {**input_options(encoder), "copyts": "", "noaccurate_seek": "", "ss": f"{seek_s:.6f}"}
    cut = [f"trim=start_pts={chunk.start_pts}:end_pts={chunk.end_pts}", "setpts=PTS-STARTPTS"]
    made = {
        "vf": ",".join([*cut, *video_filters(video)]),
        **video_options(video, wish, encoder),
        **mp4_options(),
        "an": "",
    }
    stream = media_input(Input(fd=source, options=options))[str(video.index)]
    return command([stream], made, output=output, inputs=[source])


def join_command(survey: Survey, chunks: Sequence[int], listed: int, source: int, output: int) -> Command:
    """Return the command that joins *chunks* by the list behind *listed* and encodes the sound."""
    video = pictures(survey)
    streams = [list_input(listed, {"itsoffset": f"{video.start_s:.6f}"})["v"]]
    if survey.audio is not None:
        streams.append(media_input(Input(fd=source))[str(survey.audio.index)])
    options = {"c:v": "copy", **audio_options(survey.audio), **mp4_options()}
    return command(streams, options, output=output, inputs=[listed, source, *chunks])


def chunk_list(video: VideoTrack, chunks: Sequence[int]) -> str:
    """Return the list for `join_command`: each chunk lasts until the next begins."""
    starts = [chunk.start_pts for chunk in video.chunks] + [video.chunks[-1].end_pts]
    lengths: list[Fraction] = [video.seconds(after - before) for before, after in pairwise(starts)]
    return concat_list(list(zip(chunks, lengths, strict=True)))


def _streams(survey: Survey, source: ffmpeg.Stream) -> list[ffmpeg.Stream]:
    tracks = [track for track in (survey.video, survey.audio) if track is not None]
    return [source[str(track.index)] for track in tracks]
