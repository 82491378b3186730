"""Builds FFmpeg's arguments: inputs by descriptor behind whitelists, one output into a staged file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import ffmpeg

from callsheet.media.kinds import DECODER_WHITELIST, FORMAT_WHITELIST

PIXELS_MAX: Final = 100_000_000
Options = Mapping[str, str | float]
"""Options without their dashes; a flag has the value ``""``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One run of FFmpeg."""

    arguments: Sequence[str]
    """Without the program's name."""
    inputs: Sequence[int] = ()
    """Descriptors that it reads; each is read from its beginning."""
    output: int
    """The descriptor of the file that it makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One file that it reads."""

    fd: int
    options: Options = field(default_factory=dict[str, str | float])


def media_input(source: Input) -> ffmpeg.Stream:
    """Return an untrusted file as an input that can name no other file."""
    options: dict[str, str | float] = {
        "protocol_whitelist": "fd",
        "format_whitelist": FORMAT_WHITELIST,
        "codec_whitelist": DECODER_WHITELIST,
        "export_side_data": "enhancements",
        "max_pixels": PIXELS_MAX,
        "fd": source.fd,
    }
    return ffmpeg.input("fd:", **{**options, **source.options})


def list_input(fd: int, options: Options | None = None) -> ffmpeg.Stream:
    """Return a list of `concat_list` as an input; what it names are descriptors of our own files."""
    named: dict[str, str | float] = {
        "f": "concat",
        "safe": 0,
        "protocol_whitelist": "fd",
        "format_whitelist": "concat,mov",
        "fd": fd,
    }
    return ffmpeg.input("fd:", **{**named, **(options or {})})


def concat_list(parts: Sequence[tuple[int, Fraction]]) -> str:
    """Return a list of descriptors and how long each lasts, so that rounding does not add up.

    Source:
        FFmpeg's documentation of the concat demuxer.
    """
    lines = ["ffconcat version 1.0"]
    before, after = Fraction(0), Fraction(0)
    for fd, length_s in parts:
        before, after = after, after + length_s
        length_us = round(after * 1_000_000) - round(before * 1_000_000)
        lines += ["file 'fd:'", f"option fd {fd}", f"duration {length_us / 1e6:.6f}"]
    return "\n".join(lines) + "\n"


def silence() -> ffmpeg.Stream:
    """Return silence without end, for what has no sound of its own."""
    return ffmpeg.input("anullsrc=channel_layout=stereo:sample_rate=48000", f="lavfi")


def with_chapters(made: Command, chapters: int) -> Command:
    """Return the command with the chapters that the text behind a descriptor lists, as ``ffmetadata``."""
    words = list(made.arguments)
    first_map, number = words.index("-map"), words.count("-i")
    words[first_map:first_map] = [
        "-protocol_whitelist",
        "fd",
        "-f",
        "ffmetadata",
        "-fd",
        str(chapters),
        "-i",
        "fd:",
    ]
    words[-2:-2] = ["-map_chapters", str(number)]
    return Command(arguments=words, inputs=[*made.inputs, chapters], output=made.output)


def command(
    streams: Sequence[ffmpeg.Stream], options: Options, *, output: int, inputs: Sequence[int]
) -> Command:
    """Return the command that writes *streams* into the file behind *output*.

    The file is opened again by the program, since an index in front needs a second pass over it.
    """
    made = ffmpeg.output(*streams, f"file:/proc/self/fd/{output}", **dict(options))
    arguments = made.overwrite_output().compile(cmd="ffmpeg")[1:]
    return Command(arguments=_flags(arguments), inputs=inputs, output=output)


def _flags(arguments: Sequence[str]) -> list[str]:
    """Leave out the empty values of options that take none."""
    return [word for word in arguments if word]
