"""Trained runs: the model of a run folder with its parameters, ready to use."""

import functools
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxae.analysis.likelihood import importance_nll
from jaxae.base import Batch, Params, Tree
from jaxae.checks import check_positive
from jaxae.composition import Autoencoder, reconstruct
from jaxae.data.layouts import Channels
from jaxae.data.loading import Splits, load
from jaxae.recipes import from_recipe
from jaxae.runs import inference
from jaxae.runs.folder import read_config, read_results
from jaxae.runs.inputs import Inputs
from jaxae.runs.recording import (
    as_seen,
    code_moments,
    inputs_of,
    is_being_continued,
    parts_of,
    saved_steps,
)
from jaxae.training.checkpoints import Checkpoints

SAMPLED = 500
"""Samples that are drawn together."""
TEMPLATE = 4096
"""Examples of the batch that parameters get their shapes from; PCA needs as many as components."""
ATTEMPTS, MOST_ATTEMPTS = 3, 30
"""Attempts to read a checkpoint, which a run that is still training may replace meanwhile; the second number
holds where it has done so."""


class TrainedRun:
    """A model and its parameters, with what is known of its training; :func:`load_run` makes it.

    Attributes:
      directory: the run folder, or the folder of the part.
      part: the name of the part; empty for a run of one model.
      parts: the names of all parts.
      model: the model.
      params: its parameters, those of the selected epoch.
      recipe: what the model was built from, as plain values.
      config: the flags of the run, as recorded.
      inputs: how its images are prepared.
      use: what it is for, such as `{"task": "denoise"}`.
      versions: of the packages that it was trained with.
      code_mean, code_std: of each value of the codes of the training images; None if the codes are no
        single array, or the training has not ended or goes on.
    """

    def __init__(
        self,
        directory: Path,
        model: Autoencoder,
        params: Params,
        record: dict[str, Any],
        *,
        part: str = "",
        parts: tuple[str, ...] = (),
        root: Path | None = None,
    ):
        self.directory, self.part, self.parts = directory, part, parts
        self.root = directory if root is None else root
        self.model, self.params = model, params
        self.recipe = record.get("recipe", {})
        self.config: dict[str, Any] = record["config"]
        self.inputs = inputs_of(record, directory)
        use = record.get("use") or {"task": "reconstruct"}
        if not isinstance(use, dict) or not isinstance(use.get("task"), str):
            raise ValueError(f"the use in {directory}/config.json is damaged")
        self.use: dict[str, Any] = use
        self.versions: dict[str, str] = record.get("versions") or {}
        self._continuing = is_being_continued(record)
        self.code_mean, self.code_std = code_moments(directory)

    def __repr__(self) -> str:
        part = f", part={self.part!r}" if self.part else ""
        return f"TrainedRun({str(self.root)!r}{part}: {self.model.model.name})"

    @property
    def results(self) -> dict[str, Any] | None:
        """The results of the run, of all parts together; None while it is not complete or is continued."""
        return None if self._continuing else read_results(self.root)

    @property
    def history(self) -> list[dict[str, Any]]:
        """The metrics of each epoch."""
        try:
            lines = (self.directory / "metrics.jsonl").read_text().splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:  # the run is writing it
                break
        return found

    def prepare(self, pictures: Any) -> np.ndarray:
        """Pictures of any size as images of this run, see :meth:`jaxae.runs.inputs.Inputs.prepare`."""
        return self.inputs.prepare(pictures)

    def load_data(
        self,
        data_dir: str | Path | None = None,
        *,
        channels: Channels | None = None,
        levels: int | None = None,
    ) -> Splits:
        """The data set that the run was trained on.

        Args:
          data_dir: as in :func:`jaxae.load`; None for the one that the run was trained with.
          channels: the same.
          levels: the same.

        Raises:
          ValueError: if it cannot be found or read.
        """
        i = self.inputs
        return load(
            i.dataset,
            data_dir=i.data_dir if data_dir is None else data_dir,
            image_size=i.image_size,
            channels=i.channels if channels is None else channels,
            frames=i.frames,
            levels=i.levels if levels is None else levels,
        )

    def seen(self, x: Any) -> np.ndarray | jax.Array:
        """What the encoder sees of images, `[n, *inputs.seen_shape]`.

        For colorization these are the grey levels; for inpainting nothing is missing, unless the images
        have the channel that says what is.

        Raises:
          ValueError: if they are not images of the shape that the run was trained on.
        """
        noisy = self.model.corruption is not None
        return as_seen(self.inputs, self.use.get("task"), x, noisy=noisy)

    def encode(self, x: Any) -> Tree:
        """Codes of images: the means of the posterior, leaves `[n, ...]`.

        Args:
          x: `[n, h, w, c]`, bytes or floats in [0, 1].

        Raises:
          ValueError: if the model has no encoder, or these are no images of its shape.
        """
        return inference.in_batches(self._encode, self.params, self.seen(x))

    def decode(self, z: Tree, *, clip: bool = True) -> Tree:
        """Images of codes: the means of the likelihood, `[n, h, w, c]`, clipped to [0, 1] unless `clip` is
        False.

        Raises:
          ValueError: if the codes are not of the size of this model.
        """
        y = inference.in_batches(self._decode, self.params, z)
        return jax.tree.map(lambda leaf: np.clip(leaf, 0, 1), y) if clip else y

    def reconstruct(self, x: Any, *, clip: bool = True) -> Tree:
        """Reconstructions of images, `[n, h, w, c]`; what they are depends on `use`.

        Raises:
          ValueError: as by :meth:`encode`.
        """
        y = inference.in_batches(self._reconstruct, self.params, self.seen(x))
        return jax.tree.map(lambda leaf: np.clip(leaf, 0, 1), y) if clip else y

    def sample(self, n: int, *, seed: int = 0, condition: Any = None, clip: bool = True) -> Tree:
        """Decoded draws from the prior, `[n, h, w, c]`.

        Args:
          n: how many.
          seed: for the draws; the first ones do not depend on `n`.
          condition: for a conditional model, leaves `[n, ...]`.
          clip: whether values are clipped to [0, 1].

        Raises:
          ValueError: if the model has no prior, or `n` is not positive.
        """
        check_positive(n=n)
        parts = []
        for i in range(0, n, SAMPLED):
            key = jax.random.fold_in(jax.random.key(seed), i)
            own = None
            if condition is not None:
                # The last batch is filled up, so that one program is compiled.
                own = jax.tree.map(
                    lambda c: jnp.take(jnp.asarray(c), jnp.arange(i, i + SAMPLED), 0, mode="clip"),  # noqa: B023
                    condition,
                )
            count = SAMPLED if n > SAMPLED or condition is not None else n
            parts.append(jax.device_get(self._sample(self.params, key, count, own)))
        y = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:n], *parts)
        return jax.tree.map(lambda leaf: np.clip(leaf, 0, 1), y) if clip else y

    def log_likelihood(self, x: Any, *, samples: int = 200, seed: int = 0) -> np.ndarray:
        """Estimates of log p(x) by importance sampling, `[n]`, in nats; on average they are lower bounds.

        See :func:`jaxae.analysis.importance_nll`.

        Raises:
          ValueError: if the prior or the posterior of the model has no density.
        """
        images, found = self.inputs.check(x), []
        check_positive(samples=samples)
        size = 100
        nll = jax.jit(functools.partial(importance_nll, self.model, samples=samples))
        for i in range(0, len(images), size):
            key = jax.random.fold_in(jax.random.key(seed), i)
            found.append(jax.device_get(nll(self.params, key, images[i : i + size])))
        return -np.concatenate(found)

    @functools.cached_property
    def _encode(self) -> Any:
        return jax.jit(self.model.encode)

    @functools.cached_property
    def _decode(self) -> Any:
        return jax.jit(self.model.decode)

    @functools.cached_property
    def _reconstruct(self) -> Any:
        return jax.jit(functools.partial(reconstruct, self.model))

    @functools.cached_property
    def _sample(self) -> Any:
        def sample(params: Params, key: jax.Array, n: int, condition: Any) -> Tree:
            return self.model.sample(params, key, n, condition=condition)

        return jax.jit(sample, static_argnums=2)


def load_run(
    folder: str | Path, part: str | None = None, *, model: Autoencoder | None = None
) -> TrainedRun:
    """Loads a run that an experiment has trained, or is still training.

    Args:
      folder: the run folder.
      part: of a run that trains several models, the one to load; by default its main one.
      model: the model, if it has parts that are not from jaxae, of which a run records no recipe.

    Returns:
      a :class:`TrainedRun`.

    Raises:
      ValueError: if the folder is no run, has no checkpoint yet, is damaged, or was written by a version
        that recorded no recipe; if there is no such part.

    Examples:
      >>> load_run("no such folder")
      Traceback (most recent call last):
      ValueError: no such folder is not a run folder: there is no such folder
    """
    root = Path(folder).expanduser()
    record = read_config(root)
    parts = parts_of(record)
    if part is None:
        part = str(record.get("part") or ("" if "recipe" in record or not parts else parts[0]))
    if part and part not in parts:
        several = f"its parts are {', '.join(parts)}" if parts else "it has a single model"
        raise ValueError(f"{folder} has no part {part!r}; {several}")
    directory = root / part if part else root
    try:
        own = read_config(directory) if part else record
    except ValueError:
        if directory.exists():
            raise
        raise ValueError(
            f"{folder} has not begun to train {part!r} yet{_others(root, parts)}"
        ) from None
    record = {"use": record.get("use")} | own
    if model is None:
        model = _model(directory, record, is_old="inputs" not in record)
    params = _params(directory, model, inputs_of(record, directory), root, parts)
    return TrainedRun(directory, model, params, record, part=part, parts=parts, root=root)


def _model(directory: Path, record: dict[str, Any], *, is_old: bool) -> Autoencoder:
    if "no_recipe" in record:
        raise ValueError(
            f"{directory} records no recipe of its model ({record['no_recipe']}); pass the model: "
            "jaxae.load_run(folder, model=...)"
        )
    recipe = record.get("recipe")
    if not is_old and not isinstance(recipe, dict):
        raise ValueError(f"{directory}/config.json is damaged: it has no recipe")
    if is_old or not isinstance(recipe, dict) or "call" not in recipe:
        parts = ", ".join(parts_of(record))
        raise ValueError(
            f"{directory} has several models; choose one of its parts: {parts}"
            if parts
            else f"{directory} records no recipe of its model: it has not begun to train, or it was "
            "trained by an earlier version of jaxae; train it again in another folder"
        )
    try:
        model = from_recipe(recipe)
    except ValueError as error:
        raise ValueError(f"the recipe in {directory}/config.json is damaged: {error}") from error
    if not isinstance(model, Autoencoder):
        raise ValueError(f"the recipe in {directory}/config.json is not that of a model")
    return model


def _params(
    directory: Path, model: Autoencoder, inputs: Inputs, root: Path, parts: tuple[str, ...]
) -> Params:
    x, seen = (
        jax.ShapeDtypeStruct((TEMPLATE, *shape), jnp.float32)
        for shape in (inputs.shape, inputs.seen_shape)
    )
    # The corruption of a model makes what its encoder sees.
    given = inputs.seen is not None and model.corruption is None
    batch = Batch(x, seen=seen if given else None)
    try:
        shapes = jax.eval_shape(model.init, jax.random.key(0), batch)
    except Exception as error:  # of any type: they may be of any values
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"the recipe and the inputs in {directory}/config.json do not fit: {reason}"
        ) from error
    # Reading must not create the folder.
    if not (directory / "checkpoints").is_dir():
        raise ValueError(f"{directory} has no checkpoint yet{_others(root, parts)}")
    for attempt in range(1, MOST_ATTEMPTS + 1):
        before = saved_steps(directory)
        try:
            params = Checkpoints(directory / "checkpoints").best(shapes)
            break
        except (ValueError, OSError) as error:
            is_written = saved_steps(directory) != before
            if attempt >= (MOST_ATTEMPTS if is_written else ATTEMPTS):
                reason = " ".join(str(error).split())[:300]
                raise ValueError(f"{directory} cannot be loaded: {reason}") from error
            time.sleep(0.1)
    if params is None:
        raise ValueError(f"{directory} has no checkpoint yet{_others(root, parts)}")
    return params


def _others(root: Path, parts: tuple[str, ...]) -> str:
    ready = [name for name in parts if (root / name / "checkpoints").is_dir()]
    return f"; its parts with one are {', '.join(ready)}" if ready else "; train it first"
