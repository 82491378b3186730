"""Models for tests: tiny graphs that are what they are by construction, with their manifests."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import parser

from callsheet.models.manifest import Manifest, read_manifest

REVISION = "0123456789abcdef0123456789abcdef01234567"
SIZE = 32
COLOURS = ("red", "green", "blue")
HEAD = f"""
<ir_version: 10, opset_import: ["" : 20]>
made (float[n,3,{SIZE},{SIZE}] pixel_values) => (float[n,3] image_embeds)
"""
AXES = "<int64[2] axes = {2, 3}>"

#: The mean of red, green and blue: a picture is as like a colour as it has of it.
COLOURS_GRAPH = (
    HEAD + AXES + "{ mean = ReduceMean <keepdims = 0> (pixel_values, axes) image_embeds = Identity(mean) }"
)
#: The same, after some minutes of arithmetic.
SLOW_GRAPH = (
    HEAD
    + """
<int64[2] axes = {2, 3}, int64 trips = {2000000000}, bool go = {1}>
{
  mean = ReduceMean <keepdims = 0> (pixel_values, axes)
  image_embeds = Loop (trips, go, mean) <body = body (int64 i, bool c, float[n,3] x) => (bool d, float[n,3] y)
    { d = Identity(c) z = Cos(x) y = Sin(z) }>
}
"""
)
#: The same, by way of 8 GiB.
HUNGRY_GRAPH = (
    HEAD
    + """
<int64[2] axes = {2, 3}, int64[1] first = {0}, int64[2] shape = {65536, 32768}>
{
  mean = ReduceMean <keepdims = 0> (pixel_values, axes)
  all = ReduceMean <keepdims = 0> (pixel_values)
  wide = Expand (all, shape)
  sum = ReduceMean <keepdims = 0> (wide)
  image_embeds = Add (mean, sum)
}
"""
)
#: What divides by nothing.
NAN_GRAPH = (
    HEAD
    + AXES
    + """
{
  mean = ReduceMean <keepdims = 0> (pixel_values, axes)
  zero = Sub (mean, mean)
  image_embeds = Div (zero, zero)
}
"""
)
#: Each label is a token, and its embedding the token's.
TEXT_GRAPH = """
<ir_version: 10, opset_import: ["" : 20]>
made (int64[n,1] input_ids) => (float[n,3] text_embeds)
<float[3,3] table = {1,0,0, 0,1,0, 0,0,1}, int64[1] last = {1}>
{ flat = Squeeze (input_ids, last) text_embeds = Gather (table, flat) }
"""


def graph(text: str) -> bytes:
    """Return the ONNX graph that *text* describes."""
    return parser.parse_model(text).SerializeToString()


def array(values: NDArray[np.generic], *, pickled: bool = False) -> bytes:
    """Return a NumPy file."""
    content = io.BytesIO()
    np.save(content, values, allow_pickle=pickled)
    return content.getvalue()


def usual_files(text: str = COLOURS_GRAPH) -> dict[str, bytes]:
    """Return the files of the model that tells colours apart."""
    return {
        "image.onnx": graph(text),
        "labels.txt": "\n".join(COLOURS).encode() + b"\n",
        "labels.npy": array(np.eye(3, dtype=np.float32)),
    }


def manifest_text(
    files: Mapping[str, bytes],
    *,
    name: str = "colours",
    url: str = f"https://models.example/{REVISION}/",
    vram_mib: int = 100,
    labels: str = '[labels]\nfile = "labels.txt"\nembeddings = "labels.npy"\n',
    scores: str = "[scores]\nscale = 10.0\nthreshold = 0.2\n",
) -> str:
    """Return the manifest of these files."""
    listed = "".join(
        f'[[files]]\npath = "{path}"\nsize_bytes = {len(content)}\n'
        f'sha256 = "{hashlib.sha256(content).hexdigest()}"\n'
        for path, content in files.items()
    )
    return (
        f'name = "{name}"\nkind = "zero-shot-image-tags"\nlicence = "CC0-1.0"\nvram_mib = {vram_mib}\n'
        f'[source]\nurl = "{url}"\nrevision = "{REVISION}"\n{listed}'
        f'[image]\nfile = "image.onnx"\nsize = [{SIZE}, {SIZE}]\nbatch = 4\n{labels}{scores}'
    )


def put_model(
    shelf: Path, text: str = COLOURS_GRAPH, *, name: str = "colours", vram_mib: int = 100
) -> Manifest:
    """Put a model into a model folder, as `callsheet models pull` would, and return its manifest."""
    files = usual_files(text)
    written = manifest_text(files, name=name, vram_mib=vram_mib).encode()
    folder = shelf / name
    folder.mkdir(parents=True)
    for path, content in {**files, "manifest.toml": written}.items():
        (folder / path).write_bytes(content)
    return read_manifest(written)


def pictures(*colours: tuple[int, int, int]) -> bytes:
    """Return one picture of each colour, as models are given them."""
    return b"".join(bytes(colour) * SIZE * SIZE for colour in colours)
