"""What a model's manifest says: its files with their hashes, where they are from, and how it is fed."""

import math
import re
import tomllib
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from callsheet.errors import InvalidError
from callsheet.models.resize import Resize

FILE_NAME: Final = "manifest.toml"
"""The manifest in a model's folder."""
MANIFEST_BYTES_MAX: Final = 32 * 1024
"""Bytes of a manifest."""
FILE_BYTES_MAX: Final = 2 << 30
"""Bytes of one file; ONNX keeps no more in one."""
FILES_MAX: Final = 16
"""Files of one model."""
LABELS_MAX: Final = 10_000
"""Labels of one model."""
LABEL_CHARS_MAX: Final = 100
"""Characters of one label."""
REVISION_SHOWN: Final = 12
"""Digits of a revision that name it in tags."""
_SIDE_MAX: Final = 2048
_SUFFIXES: Final = (".onnx", ".npy", ".txt", ".md", ".json")
_REVISION: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""A model's name, which is its folder's too."""
ModelFileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
"""The name of a file in a model's folder; never a path."""
TensorName = Annotated[str, Field(min_length=1, max_length=200)]
Channels = tuple[float, float, float]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelSource(_Section):
    """Where the files are fetched from."""

    url: Annotated[str, Field(max_length=2000)]
    """What the files' names are put behind; holds the revision."""
    revision: str
    """A whole commit or content hash: 40 or 64 hexadecimal digits."""

    @model_validator(mode="after")
    def _is_pinned(self) -> Self:
        if not _REVISION.fullmatch(self.revision):
            raise ValueError(
                "revision: must be a whole commit or content hash, 40 or 64 lower-case hexadecimal digits;"
                " a branch or tag can change"
            )
        check_url(self.url)
        if not self.url.endswith("/") or self.revision not in urlsplit(self.url).path.split("/"):
            raise ValueError("url: must hold the revision as one of its folders, and end with a slash")
        return self


class ModelFile(_Section):
    """One file of a model."""

    path: ModelFileName
    """Its name, in the model's folder and behind the source's URL."""
    size_bytes: Annotated[int, Field(ge=1, le=FILE_BYTES_MAX)]
    """Exactly so many."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Of its content."""

    @model_validator(mode="after")
    def _is_data(self) -> Self:
        if self.path == FILE_NAME or not self.path.endswith(_SUFFIXES):
            kinds = ", ".join(_SUFFIXES)
            raise ValueError(f"path: {self.path!r} is no {kinds} file; pickles and programs are not taken")
        return self


class ImageInput(_Section):
    """The graph that turns pictures into embeddings, and the pictures that it takes."""

    file: ModelFileName
    """An ONNX graph: float32 in, ``(pictures, 3, height, width)``; float32 out, ``(pictures, numbers)``."""
    input: TensorName = "pixel_values"
    """Its input."""
    output: TensorName = "image_embeds"
    """Its output."""
    size: tuple[Annotated[int, Field(ge=8, le=_SIDE_MAX)], Annotated[int, Field(ge=8, le=_SIDE_MAX)]]
    """Width and height in pixels."""
    resize: Resize = Resize.COVER
    """How pictures get that size."""
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    """How pixels in between are made."""
    mean: Channels = (0.0, 0.0, 0.0)
    """Of red, green and blue, 0 to 1; subtracted."""
    std: Channels = (1.0, 1.0, 1.0)
    """Of red, green and blue; divided by."""
    batch: Annotated[int, Field(ge=1, le=64)] = 8
    """Pictures at once."""

    @model_validator(mode="after")
    def _can_divide(self) -> Self:
        if any(not math.isfinite(one) or one <= 0 for one in self.std):
            raise ValueError("std: must be more than 0")
        return self


class Labels(_Section):
    """The tags that it can give."""

    file: ModelFileName
    """UTF-8 text, one tag a line, in the order of the embeddings."""
    embeddings: ModelFileName | None = None
    """A NumPy array of float32, ``(labels, numbers)``: what the model's text encoder makes of each."""


class TextInput(_Section):
    """The graph that turns labels into embeddings, where these do not come with the model."""

    file: ModelFileName
    """An ONNX graph: int64 in, ``(labels, tokens)``; float32 out, ``(labels, numbers)``."""
    tokens: ModelFileName
    """A NumPy array of int64, ``(labels, tokens)``: each label, or a sentence with it, as tokens."""
    input: TensorName = "input_ids"
    """Its input."""
    output: TensorName = "text_embeds"
    """Its output."""


class Scores(_Section):
    """How the likeness of a picture and a label becomes a score."""

    function: Literal["softmax", "sigmoid"] = "softmax"
    """``softmax``: the labels of a picture share 1, as with CLIP. ``sigmoid``: each by itself, as SigLIP."""
    scale: Annotated[float, Field(gt=0, le=1000)] = 100.0
    """What the cosine of the angle between the embeddings is multiplied with."""
    bias: Annotated[float, Field(ge=-1000, le=1000)] = 0.0
    """What is added then."""
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Tags with a lower score are not given."""
    most: Annotated[int, Field(ge=1, le=100)] = 10
    """Tags of one item at most."""


class Manifest(_Section):
    """One model."""

    name: ModelName
    kind: Literal["zero-shot-image-tags"]
    licence: Annotated[str, Field(min_length=1, max_length=200)]
    """As SPDX writes it, such as ``Apache-2.0``; read it before you pull."""
    description: Annotated[str, Field(max_length=1000)] = ""
    vram_mib: Annotated[int, Field(ge=1, le=1 << 20)]
    """Memory of a card that it needs."""
    source: ModelSource
    files: Annotated[tuple[ModelFile, ...], Field(min_length=1, max_length=FILES_MAX)]
    image: ImageInput
    labels: Labels
    text: TextInput | None = None
    scores: Scores = Scores()

    @property
    def label(self) -> str:
        """Return what tags name as their source: the name, and the beginning of the revision."""
        return f"{self.name}@{self.source.revision[:REVISION_SHOWN]}"

    @property
    def size_bytes(self) -> int:
        """Return the bytes of all its files."""
        return sum(file.size_bytes for file in self.files)

    def file(self, name: str) -> ModelFile:
        """Return one of its files; every name that the manifest mentions is one."""
        return next(file for file in self.files if file.path == name)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        names = [file.path for file in self.files]
        if len({name.lower() for name in names}) < len(names):
            raise ValueError("files: two of them have the same name")
        if (self.labels.embeddings is None) == (self.text is None):
            raise ValueError("labels: give either their embeddings, or a text encoder by [text]")
        for where, name, suffix in self._mentioned():
            if name not in names:
                raise ValueError(f"{where}: {name!r} is none of the files")
            if not name.endswith(suffix):
                raise ValueError(f"{where}: {name!r} must be a {suffix} file")
        return self

    def _mentioned(self) -> list[tuple[str, str, str]]:
        found = [("image.file", self.image.file, ".onnx"), ("labels.file", self.labels.file, ".txt")]
        if self.labels.embeddings is not None:
            found.append(("labels.embeddings", self.labels.embeddings, ".npy"))
        if self.text is not None:
            found += [("text.file", self.text.file, ".onnx"), ("text.tokens", self.text.tokens, ".npy")]
        return found


def read_manifest(content: bytes) -> Manifest:
    """Return a manifest.

    Raises:
        InvalidError: It is none; the field is the first that is wrong.
    """
    if len(content) > MANIFEST_BYTES_MAX:
        raise InvalidError(f"has {len(content):,} bytes; at most {MANIFEST_BYTES_MAX:,} are allowed")
    try:
        return Manifest.model_validate(tomllib.loads(content.decode()))
    except UnicodeDecodeError:
        raise InvalidError("is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidError(f"is not TOML: {error}") from None
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        said = problem["msg"].removeprefix("Value error, ")
        raise InvalidError(said, field=where) from None


def check_url(url: str) -> None:
    """Refuse what is not fetched from: anything but HTTPS, files, and HTTP on this machine.

    Raises:
        ValueError: It is such an address.
    """
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError("url: must carry no credentials")
    if parts.query or parts.fragment or ".." in parts.path.split("/"):
        raise ValueError("url: must be plain: no query, no fragment, no `..`")
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and is_loopback(parts.hostname):
        return
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return
    raise ValueError("url: must begin with https:// (or be a file:/// on this machine)")


def is_loopback(host: str | None) -> bool:
    """Return whether a host's name can mean this machine alone."""
    return host in _LOOPBACK
