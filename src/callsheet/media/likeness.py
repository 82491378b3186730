"""Scores labels for pictures by comparing embeddings, as zero-shot models such as CLIP and SigLIP do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

BEST_PART: Final = 4
"""An item's score for a label is the mean of the best quarter of its pictures: what shows for a part of a
video counts, one odd picture does not decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How the likeness of a picture and a label becomes a score."""

    function: Literal["softmax", "sigmoid"]
    """``softmax``: the labels of a picture share 1. ``sigmoid``: each stands by itself."""
    scale: float
    bias: float


def centred(pixels: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> Matrix:
    """Return pictures as graphs take them.

    Args:
        pixels: ``(count, height, width, 3)``, R'G'B', 0..255.
        mean: Of the three channels, 0 to 1; subtracted.
        std: Of the three channels; divided by.

    Returns:
        ``(count, 3, height, width)``.
    """
    middle, spread = np.array(mean, dtype=np.float32), np.array(std, dtype=np.float32)
    shares: Matrix = (pixels.astype(np.float32) / np.float32(255) - middle) / spread
    return np.ascontiguousarray(shares.transpose(0, 3, 1, 2))


def unit(vectors: Matrix) -> Matrix:
    """Return vectors, ``(count, numbers)``, of length 1; one of nothing but zeros stays so."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    divided: Matrix = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return divided


def scores(pictures: Matrix, labels: Matrix, scoring: Scoring) -> Matrix:
    """Return how well each label fits each picture, 0 to 1.

    Args:
        pictures: Embeddings, ``(pictures, numbers)``.
        labels: Embeddings, ``(labels, numbers)``.
        scoring: How likeness becomes a score.

    Returns:
        ``(pictures, labels)``.
    """
    logits = (unit(pictures) @ unit(labels).T).astype(np.float64) * scoring.scale + scoring.bias
    if scoring.function == "sigmoid":
        single: Matrix = (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)
        return single
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Matrix = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def merged(per_picture: Matrix) -> Matrix:
    """Return one score for each label of an item whose pictures have these, ``(pictures, labels)``."""
    count = -(-len(per_picture) // BEST_PART)
    best = np.sort(per_picture, axis=0)[-count:]
    mean: Matrix = best.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def chosen(labels: Sequence[str], found: Matrix, *, threshold: float, most: int) -> list[tuple[str, float]]:
    """Return the labels with the best scores, best first; those alike by name."""
    pairs = [(label, float(score)) for label, score in zip(labels, found, strict=True) if score >= threshold]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:most]
