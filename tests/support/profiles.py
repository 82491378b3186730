"""Colour profiles for tests, written by hand: wrong on purpose, so that it shows whether they are applied."""

import struct
from collections.abc import Mapping, Sequence


def matrix_profile(primaries: Sequence[tuple[float, float, float]], gamma: float = 1.0) -> bytes:
    """Return an RGB profile whose red, green and blue have these places in XYZ (ICC.1:2001-04, 6.3.1.2)."""
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256)) + b"\0\0"
    names = ("rXYZ", "gXYZ", "bXYZ")
    tags = {name: _xyz(*place) for name, place in zip(names, primaries, strict=True)}
    tags |= {"wtpt": _xyz(0.9642, 1.0, 0.8249), "rTRC": curve, "gTRC": curve, "bTRC": curve}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def cmyk_profile(lab: Sequence[tuple[int, int, int]]) -> bytes:
    """Return a CMYK profile by a table (lut8Type, 6.5.7).

    Args:
        lab: The colours of the sixteen mixtures of ink, no ink first, black changing fastest; L in
            0..255, a and b in 0..255 around 128.
    """
    ramp = bytes(range(256))
    table = bytes(value for colour in lab for value in colour)
    matrix = struct.pack(">9i", *(65536 if place % 4 == 0 else 0 for place in range(9)))
    lut = b"mft1" + struct.pack(">IBBBB", 0, 4, 3, 2, 0) + matrix + ramp * 4 + table + ramp * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {"A2B0": lut, "wtpt": _xyz(0.9642, 1.0, 0.8249)})


def _xyz(*place: float) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(one * 65536) for one in place))


def _profile(device: bytes, colours: bytes, connection: bytes, tags: Mapping[str, bytes]) -> bytes:
    description = b"desc" + struct.pack(">II", 0, 5) + b"test\0" + b"\0" * 78
    entries = {"desc": description, "cprt": b"text\0\0\0\0none\0", **tags}
    at = 128 + 4 + 12 * len(entries)
    table, content = struct.pack(">I", len(entries)), b""
    for name, tag in entries.items():
        padded = tag + b"\0" * (-len(tag) % 4)
        table += name.encode() + struct.pack(">II", at + len(content), len(tag))
        content += padded
    size = at + len(content)
    header = struct.pack(">I4sI", size, b"\0\0\0\0", 0x02400000) + device + colours + connection
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28
    header += struct.pack(">3i", round(0.9642 * 65536), 65536, round(0.8249 * 65536))
    return header.ljust(128, b"\0") + table + content
