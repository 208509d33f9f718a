"""The evaluation of a trained run: every measure that it has, and why others are missing."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxae import analysis
from jaxae.analysis.regularity import kl_per_dimension
from jaxae.arrays import as_float
from jaxae.base import Batch, Likelihood, Params
from jaxae.composition import as_batch, reconstruct
from jaxae.data.loading import Splits
from jaxae.data.messages import counted
from jaxae.runs import inference
from jaxae.runs.loading import TrainedRun
from jaxae.runs.painting import painter
from jaxae.runs.scores import TEST_SEED, batch_size_of, bound_scores, likelihood_of, spread
from jaxae.training.evaluation import make_evaluate, means
from jaxae.training.progress import stage

PROBED, NEIGHBOURS = 10_000, 10
"""Training codes that probes are fitted to, at most, and the neighbours that vote."""
CORRUPTED = {"denoise": 500}
"""Test images that are corrupted with one key, by task; 250 for other tasks."""
BATCH_SIZES = {"faces": 64}
"""Images that an experiment evaluates together, and so with the same draws, if that is its own choice."""
OF_CODES = ("reconstruct", "denoise")
"""Tasks whose encoder can see the images themselves."""
SSIM_WINDOW = 11
MAX_CODE = 10_000
"""Codes with more values, such as those of a U-Net, are not probed."""


class Table(NamedTuple):
    """What :func:`evaluate_run` finds.

    Attributes:
      results: measures, by the names in results.json without the name of the model.
      missing: the names of measures that there are not, and why.
      kl_per_dimension: the mean KL divergence of each latent dimension, in nats; None without one.
      notes: what a reader should know.
      images: the number of images.
    """

    results: dict[str, float]
    missing: dict[str, str]
    kl_per_dimension: np.ndarray | None
    notes: tuple[str, ...]
    images: int


def evaluate_run(
    run: TrainedRun,
    data: Splits,
    *,
    split: str = "test",
    samples: int = 200,
    codes: bool = True,
    shown: bool = True,
) -> Table:
    """Evaluates a run on a split of a data set.

    On the test set of the run, the values are those that its experiment reports.

    Args:
      run: the run.
      data: of the shape that it was trained on, see :meth:`TrainedRun.load_data`.
      split: train, validation or test.
      samples: importance samples of -log p(x) for each image; 0 to leave it out.
      codes: whether the codes are evaluated too: probes, clusters, active units, KL divergences.
      shown: whether progress is shown on standard error.

    Raises:
      ValueError: if the images do not fit the run.
    """
    part = getattr(data, split)
    if not len(part.images):
        raise ValueError(f"the data have no {split} images")
    said = _Said(shown)
    x = run.inputs.check(np.asarray(part.images[:]))
    found = _Found({}, {}, [])
    corrupt = run.model.corruption
    task = run.use["task"]
    if run.model.model.posterior is None:
        for name in ("loss", "nll", "squared_error", "psnr", "ssim"):
            found.missing[name] = "the model has no encoder"
    elif task == "translate":
        raise ValueError(
            "this run makes one kind of image from another; its evaluation needs pairs of images, which "
            "are not loaded"
        )
    elif task != "reconstruct" and corrupt is not None:
        with said(f"reconstructing {len(x):,} corrupted images"):
            _of_corrupted(run, x, CORRUPTED.get(task, 250), found)
        found.notes.append(f"the encoder sees corrupted images (task: {task})")
        found.missing["nll"] = "the images are corrupted"
    else:
        with said(f"evaluating {counted(len(x), 'image')}"):
            _of_images(run, x, part.labels, samples, found)
    kl = None
    if not codes:
        pass
    elif run.model.model.posterior is not None and task in OF_CODES:
        with said("encoding the images"):
            kl = _of_codes(run, x, found)
        _probes(run, data, split, found, said)
    else:
        why = "the model has no encoder"
        if run.model.model.posterior is not None:
            why = f"the encoder sees images of another kind (task: {task})"
        for name in ("active_units", "kl_per_dimension", *_PROBES, *_CLUSTERS):
            found.missing[name] = why
    # A loss may overflow on images that are unlike those of the training.
    bad = [name for name, value in found.results.items() if not math.isfinite(value)]
    for name in bad:
        found.missing[name] = f"not finite ({found.results.pop(name)})"
    return Table(found.results, found.missing, kl, tuple(found.notes), len(x))


_PROBES = ("linear_probe_error_rate", "neighbour_probe_error_rate")
_CLUSTERS = ("accuracy", "purity", "nmi", "ari")


class _Found(NamedTuple):
    results: dict[str, float]
    missing: dict[str, str]
    notes: list[str]


class _Said:
    """Stages of the progress."""

    def __init__(self, shown: bool):
        self._shown = shown

    def __call__(self, text: str) -> AbstractContextManager[None]:
        return stage(text, shown=self._shown)


def _of_images(
    run: TrainedRun, images: Any, labels: np.ndarray | None, samples: int, found: _Found
) -> None:
    """The loss and its terms, bounds, -log p(x), and the error of reconstructions."""
    model, values, x = run.model, math.prod(run.inputs.shape), images
    labelled = labels is not None and bool((np.asarray(labels) >= 0).all())
    if supervised := _is_supervised(run.recipe) and labelled:
        x = Batch(x, label=jnp.asarray(labels, jnp.int32))
    likelihood = likelihood_of(run.recipe)
    outputs = values * (1 if likelihood is None else likelihood.outputs)
    size = batch_size_of(values, outputs // values)
    size = min(size, BATCH_SIZES.get(str(run.config.get("experiment")), size))
    if model.coupled:
        size = min(size, int(run.config.get("batch_size") or size))
    score = None
    why = _why_no_nll(run, x, samples)
    if why is None:
        score = bound_scores(model, samples, batch_size=size, outputs=outputs)
    else:
        found.missing["nll"] = why
        if "prior" in why:
            found.missing["negative_elbo"] = why
    history = run.history
    step = int(history[-1]["step"]) if history else 0
    key = jax.random.key(TEST_SEED)
    why = _why_not(lambda key, x: model.loss(run.params, key, x, step=step, train=False).loss, x)
    if why is None:
        results = inference.evaluate(
            model, run.params, key, x, step=step, score=score, batch_size=size
        )
        found.results.update(results)
        if found.results.pop("mmd", None) is not None:  # of the codes of a batch
            found.missing["mmd"] = (
                "that of the loss depends on the batch; the experiment compares all codes with the prior"
            )
        if _is_supervised(run.recipe) and not supervised:
            for name in ("loss", "cross_entropy", "error_rate"):  # without a label they are zero
                found.results.pop(name, None)
                found.missing[name] = "not all images have a label"
    else:
        found.missing["loss"] = f"the loss cannot be computed from images alone ({why})"
        why = _why_not(lambda key, x: reconstruct(model, run.params, x) - as_batch(x).x, x)
        if why is not None:
            # What is decoded cannot be subtracted from images.
            decoded = _why_not(lambda key, x: reconstruct(model, run.params, x), x)
            found.missing["squared_error"] = decoded or "the model makes no images"
            return
        _, error = inference.squared_errors(model, run.params, x)
        found.results["squared_error"] = error
        found.results["mse"] = error / values
        found.results["psnr"] = inference.decibels(error / values)
    _bits(run, likelihood, images, values, found)
    _ssim(run, images, found)


def _is_supervised(recipe: Any) -> bool:
    """Whether the loss of a model uses labels, which some of its training images had."""
    if not isinstance(recipe, dict):
        return False
    return recipe.get("call") == "supervised" or any(map(_is_supervised, recipe.values()))


def _bits(
    run: TrainedRun, likelihood: Likelihood | None, x: Any, values: int, found: _Found
) -> None:
    if "nll" not in found.results:
        return
    if likelihood is None or not likelihood.levels:
        found.missing["bits_per_dimension"] = "the likelihood is a density of real numbers"
        return
    if likelihood.levels == 2 and not _is_binary(x):
        found.missing["bits_per_dimension"] = "the images have grey levels"
        found.notes.append(
            "values in nats are cross-entropies of grey levels, which are not comparable with "
            "log-likelihoods of binary images"
        )
        return
    found.results["bits_per_dimension"] = analysis.bits_per_dimension(found.results["nll"], values)


def _is_binary(x: Any) -> bool:
    from jaxae.data.images import is_binary

    return bool(is_binary(np.asarray(x)))


def _ssim(run: TrainedRun, x: Any, found: _Found) -> None:
    if min(run.inputs.shape[:2]) < SSIM_WINDOW:
        found.missing["ssim"] = f"the images are smaller than its window of {SSIM_WINDOW} pixels"
        return

    def score(params: Params, key: jax.Array, x: Array) -> dict[str, Array]:
        y = jnp.clip(reconstruct(run.model, params, x), 0, 1)
        return {"ssim": analysis.ssim(as_float(x), y)}

    scored = make_evaluate(score, batch_size=100)(run.params, jax.random.key(0), x)
    found.results.update(means(scored))


def _of_corrupted(run: TrainedRun, x: Any, size: int, found: _Found) -> None:
    """The error of the reconstructions of corrupted images; the corruption is the same for all runs."""
    key = jax.random.key(TEST_SEED)
    assert run.model.corruption is not None
    corrupt = jax.jit(run.model.corruption)
    count = int(run.use.get("symmetries") or 1)
    paint = painter(run.model, run.params, count)
    squared, similar = [], []
    fits = min(x.shape[1:3]) >= SSIM_WINDOW
    for i in range(0, len(x), size):
        truth = as_float(jnp.asarray(x[i : i + size]))
        y = paint(corrupt(jax.random.fold_in(key, i), truth))
        squared.append(np.asarray(analysis.squared_error(truth, y)))
        if fits:
            similar.append(np.asarray(analysis.ssim(truth, y)))
    values = math.prod(x.shape[1:])
    own = np.concatenate(squared) / values
    mse = float(own.mean(dtype=np.float64))
    decibels = -10 * np.log10(np.maximum(own, inference.LEAST_MSE))
    found.results["mse"], found.results["psnr"] = mse, inference.decibels(mse)
    found.results["image_psnr"] = float(decibels.mean(dtype=np.float64))
    if fits:
        found.results["ssim"] = float(np.concatenate(similar).mean(dtype=np.float64))
    else:
        found.missing["ssim"] = f"the images are smaller than its window of {SSIM_WINDOW} pixels"
    if count > 1:
        found.notes.append(f"results are averaged over {count} symmetries of the image")


def _of_codes(run: TrainedRun, x: Any, found: _Found) -> np.ndarray | None:
    """Active units, and the KL divergence of each latent dimension."""
    why = _why_not(lambda key, x: kl_per_dimension(run.model, run.params, x), x)
    if why is not None:
        found.missing["kl_per_dimension"] = found.missing["active_units"] = why
        return None

    def kl(params: Params, x: Array) -> Array:
        return kl_per_dimension(run.model, params, x)

    every = inference.in_batches(kl, run.params, x)
    codes = run.encode(x)
    found.results["active_units"] = int(analysis.active_units(jnp.asarray(codes)).sum())
    mean = every.mean(axis=0, dtype=np.float64)
    found.notes.append(analysis.collapse_report(mean))
    return np.asarray(mean)


def _probes(run: TrainedRun, data: Splits, split: str, found: _Found, said: _Said) -> None:
    """Classifiers of codes, and clusters of codes compared with the classes."""
    from sklearn.cluster import KMeans

    part = getattr(data, split)
    names = (*_PROBES, *_CLUSTERS)
    if part.labels is None or data.train.labels is None:
        found.missing.update(dict.fromkeys(names, "the data have no labels"))
        return
    labels = np.asarray(part.labels)
    known = labels >= 0
    if len(np.unique(labels[known])) < 2:
        found.missing.update(dict.fromkeys(names, "the labels are of fewer than two classes"))
        return
    with said("encoding training images"):
        voters = spread(len(data.train.images), PROBED)
        voting = np.asarray(data.train.labels)[voters]
        train = run.encode(np.asarray(data.train.images[voters]))[voting >= 0]
        codes = run.encode(np.asarray(part.images[:]))[known]
    if not isinstance(codes, np.ndarray) or codes[0].size > MAX_CODE:
        found.missing.update(dict.fromkeys(names, "the codes are no single vector"))
        return
    train, codes = train.reshape(len(train), -1), codes.reshape(len(codes), -1)
    pairs = (train, voting[voting >= 0]), (codes, labels[known])
    if split == "train":
        found.missing.update(dict.fromkeys(_PROBES, "probes are fitted to the training images"))
    else:
        with said(f"training classifiers of {counted(len(train), 'code')}"):
            try:
                found.results["linear_probe_error_rate"] = analysis.linear_probe(*pairs)
                found.results["neighbour_probe_error_rate"] = analysis.neighbour_probe(
                    *pairs, neighbours=min(NEIGHBOURS, len(train))
                )
            except ValueError as error:
                found.missing.update(dict.fromkeys(_PROBES, str(error)))
    with said("clustering the codes"), _quiet():
        classes = len(np.unique(labels[known]))
        means = KMeans(classes, n_init=10, random_state=0)
        clusters = means.fit_predict(codes.astype(np.float64)).astype(int)
    scores = analysis.cluster_scores(clusters, labels[known].astype(int))
    found.results.update(scores._asdict())
    found.notes.append(f"accuracy, purity, nmi and ari are of K-means with {classes} clusters")


@contextmanager
def _quiet() -> Iterator[None]:
    """A context without the warning that fewer codes differ than there are clusters."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _why_no_nll(run: TrainedRun, x: Any, samples: int) -> str | None:
    if samples < 1:
        return "no importance samples were asked for (--samples 0)"
    return _why_not(lambda key, x: analysis.importance_nll(run.model, run.params, key, x, 1), x)


def _why_not(function: Callable[[jax.Array, Any], Any], x: Any) -> str | None:
    """Why a function of a key and images cannot be computed, found without computing it."""
    try:
        some = jax.tree.map(lambda leaf: jnp.asarray(leaf[:2]), x)
        jax.eval_shape(function, jax.random.key(0), some)
    except (ValueError, TypeError) as error:
        return " ".join(str(error).split())[:300]
    return None
