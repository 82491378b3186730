"""Inside an inference process: one model, and what it says of pictures. Imported there and nowhere else."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from callsheet.errors import BadInputError, CapacityError, InvalidError, OutOfVramError
from callsheet.media import likeness
from callsheet.media.likeness import Matrix, Scoring
from callsheet.models.contents import HEAD_BYTES, ArrayHeader, array_header
from callsheet.models.manifest import ImageInput, ModelFile
from callsheet.models.shelf import check_hash
from callsheet.worker.inference.limits import card_options
from callsheet.worker.inference.works import (
    CARD,
    PROCESSOR,
    LoadArguments,
    Loaded,
    ScoreArguments,
    Scored,
    Trouble,
)
from callsheet.worker.sandbox.work import Answer

_ERRORS_ONLY: Final = 3
_SHORTAGES: Final = (
    "Failed to allocate memory",
    "Available memory of",
    "bad_alloc",
    "bad allocation",
    "out of memory",
    "ALLOC_FAILED",
)


@dataclass(frozen=True, slots=True)
class _Model:
    session: ort.InferenceSession
    image: ImageInput
    labels: Matrix
    scoring: Scoring
    arena: str


class _Holder:
    """Holds the model of this process."""

    model: _Model | None = None


def load(arguments: LoadArguments, descriptors: Sequence[int]) -> Answer[Loaded]:
    """Make the model behind the descriptors ready."""
    try:
        provider = _load(arguments, descriptors)
    except InvalidError as error:
        return Answer(value=Loaded(trouble=Trouble(kind=BadInputError.kind, reason=error.message)))
    except Exception as error:  # noqa: BLE001 -- ONNX Runtime has no common root for what it raises
        return Answer(value=Loaded(trouble=_trouble(error, on_card=arguments.vram_mib > 0)))
    return Answer(value=Loaded(provider=provider, offered=tuple(ort.get_available_providers())))


def score(arguments: ScoreArguments, descriptors: Sequence[int]) -> Answer[Scored]:
    """Score all labels for the pictures behind the first descriptor."""
    model = _Holder.model
    if model is None:
        return Answer(value=Scored(trouble=Trouble(kind="BUG", reason="no model is loaded")))
    try:
        found = _scores(model, descriptors[0], arguments.pictures)
    except Exception as error:  # noqa: BLE001 -- the same
        return Answer(value=Scored(trouble=_trouble(error, on_card=model.arena.startswith("gpu"))))
    if not np.isfinite(found).all():
        reason = "the model computes what is no number; it, or its manifest, is wrong"
        return Answer(value=Scored(trouble=Trouble(kind=BadInputError.kind, reason=reason)))
    return Answer(value=Scored(), blobs=(found.astype("<f4").tobytes(),))


def _load(arguments: LoadArguments, descriptors: Sequence[int]) -> str:
    manifest = arguments.manifest
    session = _session(_content(descriptors[0], manifest.file(manifest.image.file)), arguments)
    _check_names(session, manifest.image.file, manifest.image.input, manifest.image.output)
    provider = session.get_providers()[0]
    arena = "gpu:0" if provider == CARD else "cpu:0"
    labels = _labels(arguments, descriptors[1:], arena)
    if len(labels) != arguments.labels:
        raise InvalidError(f"{arguments.labels} labels, but embeddings of {len(labels)}")
    rules = manifest.scores
    scoring = Scoring(function=rules.function, scale=rules.scale, bias=rules.bias)
    _Holder.model = _Model(session, manifest.image, labels, scoring, arena)
    return provider


def _session(graph: bytes, arguments: LoadArguments) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    providers: list[str | tuple[str, Mapping[str, str]]] = [PROCESSOR]
    if arguments.vram_mib and CARD in ort.get_available_providers():
        ort.preload_dlls()
        providers.insert(0, (CARD, card_options(arguments.vram_mib)))
    session = ort.InferenceSession(graph, options, providers)
    session.disable_fallback()
    return session


def _labels(arguments: LoadArguments, descriptors: Sequence[int], arena: str) -> Matrix:
    manifest = arguments.manifest
    if manifest.labels.embeddings is not None:
        return _numbers(descriptors[0], manifest.file(manifest.labels.embeddings))
    text = manifest.text
    if text is None:
        raise InvalidError("neither embeddings of the labels nor a text encoder")
    tokens = _tokens(descriptors[1], manifest.file(text.tokens))
    session = _session(_content(descriptors[0], manifest.file(text.file)), arguments)
    _check_names(session, text.file, text.input, text.output)
    parts = [
        _run(session, text.output, text.input, tokens[at : at + manifest.image.batch], arena)
        for at in range(0, len(tokens), manifest.image.batch)
    ]
    return np.concatenate(parts)


def _scores(model: _Model, fd: int, count: int) -> Matrix:
    width, height = model.image.size
    content = os.pread(fd, count * width * height * 3, 0)
    pixels = np.frombuffer(content, dtype=np.uint8).reshape(count, height, width, 3)
    parts = [
        _run(
            model.session,
            model.image.output,
            model.image.input,
            likeness.centred(pixels[at : at + model.image.batch], model.image.mean, model.image.std),
            model.arena,
        )
        for at in range(0, count, model.image.batch)
    ]
    found = np.concatenate(parts)
    if found.shape[1] != model.labels.shape[1]:
        raise ValueError(
            f"the graph gives {found.shape[1]} numbers for a picture, a label has {model.labels.shape[1]}"
        )
    return likeness.scores(found, model.labels, model.scoring)


def _run(
    session: ort.InferenceSession,
    output: str,
    name: str,
    values: NDArray[np.float32] | NDArray[np.int64],
    arena: str,
) -> Matrix:
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", arena)
    (found,) = session.run([output], {name: values}, options)
    if found.ndim != 2 or len(found) != len(values):  # noqa: PLR2004 -- rows and columns
        raise ValueError(f"the output {output} has the shape {found.shape} for {len(values)} inputs")
    return found.astype(np.float32)


def _check_names(session: ort.InferenceSession, file: str, name: str, output: str) -> None:
    inputs = [one.name for one in session.get_inputs()]
    outputs = [one.name for one in session.get_outputs()]
    if inputs != [name] or output not in outputs:
        raise InvalidError(
            f"{file} takes {inputs} and gives {outputs}; the manifest names {name} and {output}"
        )


def _content(fd: int, file: ModelFile) -> bytes:
    """Return a file, which is the one that the manifest names."""
    check_hash(fd, file)
    with os.fdopen(os.dup(fd), "rb") as stream:
        stream.seek(0)
        return stream.read(file.size_bytes)


def _numbers(fd: int, file: ModelFile) -> Matrix:
    content, header = _array(fd, file, "<f4")
    return np.frombuffer(content, np.float32, offset=header.offset).reshape(header.rows, header.columns)


def _tokens(fd: int, file: ModelFile) -> NDArray[np.int64]:
    content, header = _array(fd, file, "<i8")
    return np.frombuffer(content, np.int64, offset=header.offset).reshape(header.rows, header.columns)


def _array(fd: int, file: ModelFile, kind: str) -> tuple[bytes, ArrayHeader]:
    content = _content(fd, file)
    header = array_header(file.path, content[:HEAD_BYTES])
    if header.kind != kind or header.size_bytes != len(content):
        raise InvalidError(f"{file.path} must be a whole array of type {kind}", field=file.path)
    return content, header


def _trouble(error: Exception, *, on_card: bool) -> Trouble:
    """Return the failure that an exception of ONNX Runtime stands for."""
    said = " ".join(str(error).split())[:500] or type(error).__name__
    if isinstance(error, MemoryError) or any(words in said for words in _SHORTAGES):
        shortage = OutOfVramError if on_card else CapacityError
        return Trouble(kind=shortage.kind, reason=f"the model had not enough memory: {said}")
    return Trouble(kind=BadInputError.kind, reason=f"the model does not work: {said}")
