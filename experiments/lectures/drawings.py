"""Images in colour that need no download: drawn faces with attributes, and digits tinted by class."""

import colorsys
from pathlib import Path

import numpy as np

from jaxae.data.colors import LUMA
from jaxae.runtime.files import atomic_write

SIDE, OVERSAMPLED, CHUNK = 32, 2, 50
"""Pixels on each side of a face; samples of each pixel in each direction; faces drawn at a time."""
HAIR = np.array([[0.93, 0.8, 0.4], [0.1, 0.08, 0.08], [0.45, 0.26, 0.12]], np.float32)
"""Blond, black and brown."""
SKIN = np.array([[0.98, 0.82, 0.7], [0.55, 0.36, 0.24]], np.float32)
WHITE, DARK = np.ones(3, np.float32), np.array([0.12, 0.1, 0.1], np.float32)
RED, BACKGROUND = np.array([[0.75, 0.2, 0.22], [0.35, 0.5, 0.6]], np.float32)
BRIGHTNESS = 0.55
"""The grey level of every tint, so that the grey image does not tell the colour."""
ATTRIBUTES = ("Eyeglasses", "Blond_Hair", "Black_Hair", "Smiling")
"""Attributes of the drawn faces, by the names that CelebA has for them."""


def faces(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Drawn faces, and whether each of them has the attributes.

    Position, size, skin, background and the shade of the hair differ from face to face. They are
    independent of the attributes, and the attributes of one another (hair is blond, black or brown).

    Args:
      count: of faces.
      seed: of all random numbers.

    Returns:
      images `[count, 32, 32, 3]`, bytes, and attributes `[count, 4]`, booleans.
    """
    rng = np.random.default_rng(seed)
    hair = rng.integers(0, 3, count)
    glasses, smiling = rng.random((2, count)) < 0.5
    drawn = [
        _draw(rng, glasses[i : i + CHUNK], hair[i : i + CHUNK], smiling[i : i + CHUNK])
        for i in range(0, count, CHUNK)
    ]
    return np.concatenate(drawn), np.stack([glasses, hair == 0, hair == 1, smiling], axis=1)


def _draw(
    rng: np.random.Generator, glasses: np.ndarray, hair: np.ndarray, smiling: np.ndarray
) -> np.ndarray:
    count, n = len(hair), SIDE * OVERSAMPLED

    def each(low: float, high: float, *shape: int) -> np.ndarray:
        return rng.uniform(low, high, (count, 1, 1, *shape)).astype(np.float32)

    y, x = (np.mgrid[0:n, 0:n] / n - 0.5).astype(np.float32)[:, None]
    size = each(0.9, 1.1)
    x, y = (x - each(-0.05, 0.05)) / size, (y - each(-0.02, 0.06)) / size

    def ellipse(at_x: float, at_y: float, width: float, height: float) -> np.ndarray:
        return ((x - at_x) / width) ** 2 + ((y - at_y) / height) ** 2 < 1

    image = np.empty((count, n, n, 3), np.float32)
    image[...] = BACKGROUND + each(-0.2, 0.3, 3)

    def paint(where: np.ndarray, colour: np.ndarray) -> None:
        np.copyto(image, colour, where=where[..., None])

    shade = HAIR[hair][:, None, None] * each(0.85, 1.05, 1)
    skin = SKIN[0] + each(0, 1, 1) * (SKIN[1] - SKIN[0])
    glasses, smiling = glasses[:, None, None], smiling[:, None, None]
    paint(ellipse(0, -0.06, 0.33, 0.37), shade)
    paint(ellipse(0, 0.04, 0.26, 0.34), skin)
    paint(ellipse(0, -0.27, 0.27, 0.13), shade)
    for side in (-1, 1):
        paint(ellipse(0.1 * side, -0.02, 0.05, 0.035), WHITE)
        paint(ellipse(0.1 * side, -0.02, 0.025, 0.03), DARK)
        rim = ellipse(0.1 * side, -0.02, 0.095, 0.085) & ~ellipse(0.1 * side, -0.02, 0.068, 0.06)
        paint(glasses & rim, DARK)
    paint(ellipse(0, 0.08, 0.025, 0.05), 0.85 * skin)
    paint(glasses & (abs(y + 0.03) < 0.014) & (abs(x) > 0.19) & (abs(x) < 0.26), DARK)
    smile = ellipse(0, 0.19, 0.11, 0.08) & (y > 0.19)
    paint(np.where(smiling, smile, ellipse(0, 0.21, 0.09, 0.022)), RED)
    image = image.reshape(count, SIDE, OVERSAMPLED, SIDE, OVERSAMPLED, 3).mean(axis=(2, 4))
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)


def tints(count: int) -> np.ndarray:
    """Colours of different hues with the same grey level, `[count, 3]`."""
    found = []
    for i in range(count):
        pure = np.array(colorsys.hsv_to_rgb(i / count, 1.0, 1.0))
        level = pure @ np.asarray(LUMA)
        if level < BRIGHTNESS:  # towards white
            t = (BRIGHTNESS - level) / (1 - level)
            found.append(pure + t * (1 - pure))
        else:
            found.append(pure * BRIGHTNESS / level)
    return np.stack(found)


def tinted(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Grey images `[n, h, w, 1]` of bytes, in the colour of their class `[n]`; bytes `[n, h, w, 3]`."""
    colours = tints(1 + int(labels.max()))[labels][:, None, None]
    return np.round(images * colours).astype(np.uint8)


def write(path: Path, **arrays: np.ndarray) -> None:
    """Writes an .npz file, unless it exists."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
