"""Trainings in TensorBoard: metrics of each epoch, and at the end images, histograms and an embedding."""

import importlib.util
import re
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import numpy as np
from jaxtyping import Shaped

from jaxae.base import Batch, Params, Tree
from jaxae.composition import Autoencoder, reconstruct
from jaxae.runs import inference
from jaxae.runs.figures import displayable, mosaic
from jaxae.runs.projector import write_projector
from jaxae.training.batches import spread_indices

COLUMNS, ROWS = 10, 6
"""Images in a row, and rows of samples."""
LEAST_PIXELS = 48
"""Smaller images are enlarged to about this size."""
CODES = 1000
"""Codes in the histograms and in the embedding, at most."""
HISTOGRAMS = 32
"""Latent dimensions up to which each has a histogram."""
LARGEST_CODE = 4096
"""Values of a code up to which there is an embedding; those of a U-Net have more."""
SEED = 0


class TensorBoard:
    """Event files of a training for TensorBoard, as the `on_epoch` of :func:`jaxae.fit`.

    All earlier event files in the folder are replaced: a training that is resumed calls `on_epoch` again
    for its earlier epochs, so no epoch is there twice. Times are those of the training alone. The axis of
    steps counts epochs.

    Args:
      folder: the folder of the event files; it is created if it does not exist.

    Raises:
      ValueError: if tensorboardX is not installed, or the folder cannot be written.

    Examples:
      >>> import tempfile
      >>> folder = Path(tempfile.mkdtemp())
      >>> with TensorBoard(folder) as log:
      ...     log({"epoch": 1, "step": 10, "train/loss": 2.0})  # or fit(..., on_epoch=log)
      >>> len(list(folder.glob("events.out.tfevents.*")))
      1

    References:
      `tensorboardX <https://tensorboardx.readthedocs.io>`_.
    """

    def __init__(self, folder: str | Path):
        check_installed()
        from tensorboardX import SummaryWriter

        self._folder = Path(folder).expanduser()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in self._folder.glob("events.out.tfevents.*"):
                path.unlink()
            # A TensorBoard that is open forgets what it has read of the earlier files.
            self._writer = SummaryWriter(str(self._folder), flush_secs=10, purge_step=0)
        except OSError as error:
            raise ValueError(f"{folder} cannot be written: {error.strerror}") from error
        self._time = time.time()

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __call__(self, record: Mapping[str, int | float], state: Any = None) -> None:
        """Writes the metrics of an epoch."""
        self._time += record.get("seconds", 0.0)
        for name, value in record.items():
            if name not in ("epoch", "step") and isinstance(value, int | float):
                tag = name if "/" in name else f"speed/{name}"
                self._writer.add_scalar(tag, value, int(record["epoch"]), self._time)

    def describe(
        self,
        model: Autoencoder,
        params: Params,
        examples: Batch,
        *,
        epoch: int,
        labels: Shaped[np.ndarray, " n"] | None = None,
    ) -> None:
        """Writes reconstructions, samples, histograms of codes, and codes for the embedding projector.

        What a model does not have is left out: codes without an encoder, samples without a prior, and
        images where the data are none.

        Args:
          model: any autoencoder.
          params: its parameters.
          examples: data that the model has not been trained on, if possible; about 1,000 are used.
          epoch: that the parameters are from.
          labels: of the examples.
        """
        n = jax.tree.leaves(examples.x)[0].shape[0]
        index = spread_indices(n, min(n, CODES))
        batch = jax.tree.map(lambda leaf: np.asarray(leaf[index]), examples._replace(label=None))
        if model.corruption is not None:  # the encoder has been trained with corrupted inputs only
            seen = jax.jit(model.corruption)(jax.random.key(SEED), model.batch(batch).input)
            batch = batch._replace(seen=jax.tree.map(np.asarray, seen))
        if model.model.posterior is not None:
            self._codes(inference.encode(model, params, batch), batch, epoch, labels, index)
            first = jax.tree.map(
                lambda leaf: leaf[:: max(1, len(index) // COLUMNS)][:COLUMNS], batch
            )
            decoded = jax.jit(lambda batch: reconstruct(model, params, batch))(first)
            if np.shape(decoded) == np.shape(first.x):
                self._images("reconstructions", [first.x, *_seen(first), decoded], epoch)
        if model.model.prior is not None and not model.model.conditional:
            samples = inference.sample(model, params, jax.random.key(SEED), COLUMNS * ROWS)
            if np.shape(samples)[1:] == np.shape(batch.x)[1:]:
                self._images("samples", np.split(samples, ROWS), epoch)

    def _codes(
        self, codes: Tree, batch: Batch, epoch: int, labels: np.ndarray | None, index: np.ndarray
    ) -> None:
        if not isinstance(codes, np.ndarray) or codes.ndim != 2 or not np.isfinite(codes).all():
            return
        self._writer.add_histogram("codes/all", codes, epoch, walltime=self._time)
        d = codes.shape[1]
        for i in range(d if d <= HISTOGRAMS else 0):
            name = f"codes/{i + 1:02d}"
            self._writer.add_histogram(name, codes[:, i], epoch, walltime=self._time)
        if d <= LARGEST_CODE and _are_images(batch.x):
            chosen = None if labels is None else np.asarray(labels)[index]
            write_projector(self._folder, codes, _as_shown(batch.x), chosen)

    def _images(self, name: str, rows: Sequence[Any], epoch: int) -> None:
        """Writes rows of images as one picture."""
        if not all(_are_images(row) for row in rows):
            return
        shown = [displayable(_as_shown(row)) for row in rows]
        times = max(1, round(LEAST_PIXELS / max(shown[0].shape[1:3])))
        large = np.stack(shown).repeat(times, axis=2).repeat(times, axis=3)
        pixels = np.round(255 * mosaic(large)).astype(np.uint8)
        self._writer.add_image(f"images/{name}", pixels, epoch, self._time, dataformats="HWC")

    def close(self) -> None:
        """Writes what has not been written yet."""
        self._writer.close()


def check_installed() -> None:
    """Raises a `ValueError` unless tensorboardX 2.6 or newer is installed."""
    found = None
    if importlib.util.find_spec("tensorboardX") is not None:
        found = tuple(int(part) for part in re.findall(r"\d+", version("tensorboardX"))[:2])
    if found is None or found < (2, 6):
        raise ValueError(
            "logging for TensorBoard needs tensorboardX 2.6 or newer: pip install 'tensorboardX>=2.6'"
        )


def _are_images(x: Any) -> bool:
    return hasattr(x, "ndim") and x.ndim == 4


def _seen(batch: Batch) -> list[Any]:
    """What the encoder sees, if it is not x but can be shown below it."""
    x, seen = batch.x, batch.seen
    if seen is None or not _are_images(seen) or seen.shape[:3] != x.shape[:3]:
        return []
    return [seen[..., : x.shape[-1]]]  # without a channel that says what is missing


def _as_shown(images: Any) -> np.ndarray:
    return np.asarray(images if images.dtype == np.uint8 else np.clip(np.nan_to_num(images), 0, 1))
