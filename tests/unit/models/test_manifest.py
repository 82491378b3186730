"""Manifests: what they may say, and what is refused of them however it is put."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.errors import InvalidError
from callsheet.models.contents import HEAD_BYTES, array_header, check_head, labels_of
from callsheet.models.manifest import LABELS_MAX, check_url, read_manifest
from tests.support.onnx_models import REVISION, array, manifest_text, usual_files

TEXT = manifest_text(usual_files())
TOO_MANY = b"".join(b"%d\n" % n for n in range(LABELS_MAX + 1))
TWICE = TEXT.replace('path = "labels.npy"', 'path = "LABELS.TXT"', 1)


def test_manifest_names_the_model_by_the_beginning_of_its_revision() -> None:
    manifest = read_manifest(TEXT.encode())

    assert manifest.label == "colours@0123456789ab"
    assert manifest.image.size == (32, 32)
    assert manifest.scores.function == "softmax"
    assert manifest.size_bytes == sum(len(content) for content in usual_files().values())


@pytest.mark.parametrize(
    ("was", "becomes", "field", "said"),
    [
        ('path = "image.onnx"', 'path = "../image.onnx"', "files.0.path", "pattern"),
        ('path = "image.onnx"', 'path = "/etc/passwd"', "files.0.path", "pattern"),
        ('path = "image.onnx"', 'path = ".hidden.onnx"', "files.0.path", "pattern"),
        ('path = "image.onnx"', 'path = "image.pt"', "files.0", "pickles"),
        ('path = "image.onnx"', 'path = "manifest.toml"', "files.0", "pickles"),
        ('name = "colours"', 'name = "../colours"', "name", "pattern"),
        ('name = "colours"', 'name = "Colours"', "name", "pattern"),
        (f'revision = "{REVISION}"', 'revision = "main"', "source", "branch"),
        (f'revision = "{REVISION}"', 'revision = "0123456"', "source", "40 or 64"),
        (f"example/{REVISION}/", "example/main/", "source", "must hold the revision"),
        (f"example/{REVISION}/", f"example/x{REVISION}/", "source", "must hold the revision"),
        ("https://models.example", "http://models.example", "source", "https"),
        ("https://models.example", "https://name:secret@models.example", "source", "credentials"),
        ("https://models.example", "ftp://models.example", "source", "https"),
        ("https://models.example", "file://elsewhere", "source", "https"),
        ('file = "image.onnx"', 'file = "other.onnx"', "", "none of the files"),
        ('file = "image.onnx"', 'file = "labels.txt"', "", "must be a .onnx"),
        ("size = [32, 32]", "size = [100000, 32]", "image.size.0", "less than or equal"),
        ("size = [32, 32]", "size = [32, 32]\nstd = [1.0, 0.0, 1.0]", "image", "more than 0"),
        ("size = [32, 32]", "size = [32, 32]\nmean = [nan, 0.0, 0.0]", "image.mean.0", "finite"),
        ("scale = 10.0", "scale = inf", "scores.scale", "finite"),
        ("batch = 4", "batch = 100000", "image.batch", "less than or equal"),
        ("vram_mib = 100", "vram_mib = -1", "vram_mib", "greater than"),
        ('embeddings = "labels.npy"', "", "", "either"),
        ('kind = "zero-shot-image-tags"', 'kind = "anything"', "kind", "zero-shot-image-tags"),
        ('licence = "CC0-1.0"', "", "licence", "required"),
        ("batch = 4", 'batch = 4\nprogram = "x.py"', "image.program", "not permitted"),
    ],
)
def test_manifest_that_is_hostile_or_wrong_is_refused_by_the_field(
    was: str, becomes: str, field: str, said: str
) -> None:
    assert was in TEXT
    with pytest.raises(InvalidError, match=said) as caught:
        read_manifest(TEXT.replace(was, becomes, 1).encode())
    assert caught.value.field == field


def test_file_cannot_be_larger_than_the_limit_or_of_no_size() -> None:
    size = f"size_bytes = {len(usual_files()['image.onnx'])}"
    for other in ("size_bytes = 99999999999999", "size_bytes = 0", "size_bytes = -1"):
        with pytest.raises(InvalidError) as caught:
            read_manifest(TEXT.replace(size, other, 1).encode())
        assert caught.value.field == "files.0.size_bytes"


def test_two_files_of_one_name_are_refused_also_where_case_does_not_count() -> None:
    with pytest.raises(InvalidError):
        read_manifest(TWICE.replace("LABELS.TXT", "Labels.txt").encode())


@given(st.binary(max_size=300))
def test_no_bytes_are_taken_for_a_manifest_or_end_otherwise_than_by_saying_so(content: bytes) -> None:
    with pytest.raises(InvalidError):
        read_manifest(content)


def test_manifest_of_many_kilobytes_is_refused_before_it_is_read() -> None:
    with pytest.raises(InvalidError, match="at most"):
        read_manifest(TEXT.encode() + b"#" * 40_000)


@pytest.mark.parametrize(
    "url", ["https://host/a?b", "https://host/a#b", "https://host/../a", "https:///a", ""]
)
def test_address_must_be_plain(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["https://host/a/", "file:///models/a/", "http://127.0.0.1:80/", "http://[::1]/"]
)
def test_address_may_be_https_a_file_or_this_machine(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("image.onnx", b"\x80\x04\x95rest"),
        ("labels.txt", b"\x80\x02}q\x00."),
        ("image.onnx", b"PK\x03\x04archive"),
        ("labels.npy", array(np.array([[None, "x"]], dtype=object), pickled=True)),
        ("labels.npy", b"no array"),
        ("labels.npy", array(np.zeros(3, np.float32))),
        ("labels.npy", array(np.asfortranarray(np.zeros((3, 4), np.float32)))),
        ("labels.npy", array(np.zeros((3, 4), np.float64))),
        ("labels.npy", b"\x93NUMPY\x01\x00\xff\xff{" + b" " * 4000),
        ("labels.npy", b"\x93NUMPY\x02\x00\x04\x00\x00\x00[[[["),
    ],
)
def test_pickle_or_what_is_no_plain_array_is_refused_by_its_content(name: str, head: bytes) -> None:
    with pytest.raises(InvalidError) as caught:
        check_head(name, head[:HEAD_BYTES])
    assert caught.value.field == name


@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from([np.float32, np.int64]))
def test_header_of_an_array_says_what_numpy_wrote(rows: int, columns: int, kind: type[np.generic]) -> None:
    content = array(np.zeros((rows, columns), kind))
    header = array_header("a.npy", content[:HEAD_BYTES])

    assert (header.rows, header.columns, header.size_bytes) == (rows, columns, len(content))


def test_labels_are_lines_without_empty_ones() -> None:
    assert labels_of("l.txt", "a cat\n\n  Käse \n".encode()) == ("a cat", "Käse")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"\xff",
        b"a\na\n",
        b"a\x07\n",
        b"x" * 101,
        b"".join(b"%d\n" % n for n in range(LABELS_MAX + 1)),
    ],
)
def test_labels_that_cannot_be_tags_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidError):
        labels_of("l.txt", content)
