"""Every flag of a corruption or a hole has a description in words."""

import pytest

from experiments.inpainting import HOLES
from jaxae.runs import descriptions, pieces


@pytest.mark.parametrize("name", sorted(pieces.CORRUPTIONS))
def test_corruptions(name):
    text = name if name == "grayscale" else f"{name}:{2 if name == 'downsample' else 0.25}"
    pieces.corruption([text])
    words = descriptions.corruption([text])
    assert words != text
    assert ":" not in words
    assert "_" not in words


@pytest.mark.parametrize("name", sorted(HOLES))
def test_holes(name):
    words = descriptions.hole(f"{name}:{'left' if name == 'half' else 0.25}")
    assert ":" not in words
    assert "left" in words if name == "half" else "25 %" in words


@pytest.mark.parametrize(
    ("down", "right", "words"),
    [(4, 2, "4 pixels down and 2 pixels to the right"), (-1, 0, "1 pixel up"), (0, -3, "left")],
)
def test_shifts(down, right, words):
    assert words in descriptions.shift(down, right)
