"""The commands of a compilation: one clip in the common shape, and the join of all."""

from collections.abc import Sequence

from callsheet.errors import BadInputError
from callsheet.media.compilation import (
    Clip,
    clip_filters,
    clip_options,
    joined_options,
    maxrate_kbps,
)
from callsheet.media.encoders import Encoder, input_options
from callsheet.media.survey import Survey
from callsheet.worker.encode.commands import (
    Command,
    Input,
    command,
    list_input,
    media_input,
    silence,
    with_chapters,
)


def clip_command(
    survey: Survey, clip: Clip, size: tuple[int, int], encoder: Encoder, source: int, output: int
) -> Command:
    """Return the command that makes exactly the frames of *clip*, with silence where there is no sound.

    Raises:
        BadInputError: There are no moving pictures.
    """
    video, audio = survey.video, survey.audio
    if video is None:
        raise BadInputError("it holds no moving pictures")
    begin: dict[str, str | float] = {"ss": f"{clip.start_s:.3f}"} if clip.start_s else {}
    file = media_input(Input(fd=source, options={**input_options(encoder), **begin}))
    sound = silence()["a"] if audio is None else file[str(audio.index)]
    options = {
        "vf": ",".join(clip_filters(video, size, clip.rate)),
        **clip_options(clip, encoder, maxrate_kbps(size)),
    }
    return command([file[str(video.index)], sound], options, output=output, inputs=[source])


def group_command(clips: Sequence[int], listed: int, output: int) -> Command:
    """Return the command that joins the clips of the list behind *listed* as they are, to be joined again."""
    file = list_input(listed)
    options: dict[str, str | float] = {"c": "copy", "f": "mov"}
    return command([file["v"], file["a"]], options, output=output, inputs=[listed, *clips])


def join_command(clips: Sequence[int], listed: int, chapters: int, output: int) -> Command:
    """Return the command that joins the clips of the list behind *listed*; their pictures are copied."""
    file = list_input(listed)
    joined = command([file["v"], file["a"]], joined_options(), output=output, inputs=[listed, *clips])
    return with_chapters(joined, chapters)
