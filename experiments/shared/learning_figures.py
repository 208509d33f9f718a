"""Learning curves of a trained model, with the squared error where the likelihood has one."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import jaxae
from experiments.shared.flags import Config
from jaxae.runs import curves
from jaxae.runs.folder import Run


def draw_learning_curves(
    config: Config, run: Run, model: jaxae.Autoencoder, fitted: jaxae.Fit, train: jaxae.Batch
) -> None:
    """Draws the learning curves of a model in the folder of its run.

    Args:
      config: the flags.
      run: where the figure is written.
      model: the model.
      fitted: what the training returned.
      train: what it was trained on, for the shape of an example.
    """
    convert = None
    if "train/distortion" in fitted.history[0]:
        convert = squared_error(model, fitted.params, train)
    # The model of a run with several is named by its folders.
    folders, folder = [], run.directory
    while (folder.parent / "config.json").exists():
        folders.append(folder.name)
        folder = folder.parent
    what = f"{', '.join(reversed(folders))}: learning" if folders else "Learning"
    curves.learning_curves(
        fitted.history,
        run.figures / "learning_curves.png",
        title=f"{what} curves on {Path(config.dataset).name}",
        best_epoch=fitted.best_epoch,
        total=model.monitor is not None,
        squared_error=convert,
    )


def squared_error(
    model: jaxae.Autoencoder, params: Any, train: jaxae.Batch
) -> Callable[[float], float] | None:
    r"""The squared error of an example as a function of its distortion in nats.

    For a normal likelihood with a fixed scale, and D values in an example,

    .. math:: \|x - \mu\|^2 = 2 \sigma^2 (d - D \log(\sigma \sqrt{2 \pi}))

    Returns:
      the function; None for any other likelihood.
    """
    found: list[jaxae.Distribution] = []

    def likelihood(key: jax.Array, *images: jax.Array) -> jax.Array:
        batch = jaxae.Batch(images[0], seen=images[-1])
        if model.corruption is not None:
            batch = batch._replace(seen=model.corruption(key, batch.input))
        found.append(model.draws(params, key, batch).likelihood)
        return jnp.zeros(())

    examples = [train.x] if train.seen is None else [train.x, train.seen]
    shapes = [jax.ShapeDtypeStruct((1, *e.shape[1:]), jnp.float32) for e in examples]
    # Only the types are computed: a scale that is a number is one of the program's constants.
    jax.eval_shape(likelihood, jax.random.key(0), *shapes)
    if found[0].family != "gaussian" or not isinstance(found[0].stats[1], float):
        return None
    scale, values = math.exp(found[0].stats[1]), math.prod(train.x.shape[1:])
    constant = values * math.log(scale * math.sqrt(2 * math.pi))
    return lambda distortion: 2 * scale**2 * (distortion - constant)
