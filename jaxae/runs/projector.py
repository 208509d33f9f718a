"""Codes as files for the embedding projector of TensorBoard or projector.tensorflow.org."""

import json
import math
from pathlib import Path

import numpy as np
from jaxtyping import Float, Num, Shaped
from PIL import Image

from jaxae.runs.figures import displayable
from jaxae.runtime.files import atomic_write

SPRITE_SIZE = 8192
"""The largest height and width of a sprite that the projector accepts, in pixels."""


def write_projector(
    folder: Path,
    codes: Float[np.ndarray, "n d"],
    images: Num[np.ndarray, "_ h w c"],
    labels: Shaped[np.ndarray, " _"] | None = None,
    *,
    name: str = "codes",
) -> None:
    r"""Writes codes, classes and thumbnails as files of the embedding projector.

    The files are `vectors.tsv`, with a code in each row; `metadata.tsv`, with the number and the class
    of each code; `sprite.png`, with all images; and `projector_config.pbtxt`, for
    `tensorboard --logdir FOLDER`. On the page projector.tensorflow.org, the two tsv files can be
    loaded with "Load". To show the images there as well, put the folder on a web server, replace the
    names of files in `config.json` by their addresses, and give the page the address of `config.json`.

    Args:
      folder: the folder of the files; it is created if it does not exist.
      codes: `[n, d]`.
      images: `[n, h, w, c]`, bytes or floats in [0, 1].
      labels: `[n]`, or None.
      name: of the codes in the projector.

    Raises:
      ValueError: if the numbers of codes, images and labels differ, there are none, there are more than
        a sprite has pixels, or a code is not finite.

    Examples:
      >>> import tempfile
      >>> folder = Path(tempfile.mkdtemp())
      >>> write_projector(folder, np.eye(3), np.zeros((3, 8, 8, 1)), np.array([0, 1, 1]))
      >>> (folder / "metadata.tsv").read_text().splitlines()
      ['number\tclass', '0\t0', '1\t1', '2\t1']

    References:
      Smilkov et al., `Embedding Projector <https://arxiv.org/abs/1611.05469>`_.
    """
    n = len(codes)
    if len(images) != n or (labels is not None and len(labels) != n) or n == 0:
        counts = f"{n} codes, {len(images)} images"
        counts += "" if labels is None else f" and {len(labels)} labels"
        raise ValueError(f"each code needs one image and one label, but there are {counts}")
    if not np.isfinite(codes).all():
        raise ValueError("some codes are not finite")
    side = math.ceil(math.sqrt(n))
    if side > SPRITE_SIZE:
        raise ValueError(f"a sprite can have at most {SPRITE_SIZE**2} images, got {len(codes)}")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "vectors.tsv") as partial:
        np.savetxt(partial, codes, fmt="%.6g", delimiter="\t")
    columns = [range(n)] + ([] if labels is None else [labels])
    # Tabs and line breaks in a label become spaces, so that the label stays in its cell.
    rows = [
        "\t".join(" ".join(str(cell).split()) for cell in row) for row in zip(*columns, strict=True)
    ]
    # The projector expects no header for a single column.
    header = [] if labels is None else ["number\tclass"]
    with atomic_write(folder / "metadata.tsv") as partial:
        # The name of a folder may hold half of a letter, which is in no encoding.
        partial.write_text("\n".join(header + rows) + "\n", encoding="utf-8", errors="replace")
    width, height = _write_sprite(folder / "sprite.png", images, side)
    with atomic_write(folder / "projector_config.pbtxt") as partial:
        partial.write_text(
            "embeddings {\n"
            f"  tensor_name: {json.dumps(name)}\n"
            '  tensor_path: "vectors.tsv"\n'
            '  metadata_path: "metadata.tsv"\n'
            f'  sprite {{ image_path: "sprite.png" single_image_dim: {width} '
            f"single_image_dim: {height} }}\n"
            "}\n"
        )
    embedding = {
        "tensorName": name,
        "tensorShape": list(codes.shape),
        "tensorPath": "vectors.tsv",
        "metadataPath": "metadata.tsv",
        "sprite": {"imagePath": "sprite.png", "singleImageDim": [width, height]},
    }
    with atomic_write(folder / "config.json") as partial:
        partial.write_text(json.dumps({"embeddings": [embedding]}, indent=2) + "\n")


def _write_sprite(path: Path, images: np.ndarray, side: int) -> tuple[int, int]:
    """Writes all images in a square, reduced if they do not fit; returns their width and height."""
    height, width = images.shape[1:3]
    shrink = min(1.0, SPRITE_SIZE / (side * max(height, width)))
    height, width = max(1, int(height * shrink)), max(1, int(width * shrink))
    sprite = Image.new("RGB", (side * width, side * height), "white")
    for i, image in enumerate(images):
        shown = np.round(255 * displayable(image[None])[0]).astype(np.uint8)
        thumbnail = Image.fromarray(shown)
        if shrink < 1:
            thumbnail = thumbnail.resize((width, height), Image.Resampling.BOX)
        sprite.paste(thumbnail, (i % side * width, i // side * height))
    with atomic_write(path) as partial:
        sprite.save(partial, format="PNG")
    return width, height
