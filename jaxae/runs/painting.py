"""What a trained run does to pictures: reconstructs, denoises, colours, enlarges, fills or translates them.

A run records what it is for in its `use`, plain values with the name of the task and its options:

{"task": "reconstruct"}                             the default
{"task": "denoise"}                                 the picture is taken as it is, noise included
{"task": "colorize", "symmetries": 2}               the result keeps the grey levels of the picture
{"task": "enlarge", "factor": 2, "symmetries": 8}   FACTOR times as many pixels along each side
{"task": "inpaint", "symmetries": 2}                fills the transparent pixels of the picture
{"task": "translate"}                               from images of one kind to images of another

Results are averaged over so many `symmetries` of the picture. A U-Net takes pictures of any size, and large
ones tile by tile. A network with a bottleneck takes images of one size only.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxae.arrays import as_float
from jaxae.composition import Autoencoder, reconstruct
from jaxae.data import colors
from jaxae.data.augmentations import SYMMETRIES, self_ensemble
from jaxae.recipes import from_recipe
from jaxae.runs import pictures
from jaxae.runs.loading import TrainedRun
from jaxae.runs.pictures import Paint, Painter, Track
from jaxae.runs.sizes import at_size, takes_any_size

PAINTED = 50
"""The number of images that a network is applied to at once."""


class Task(NamedTuple):
    """What is done to pictures.

    Attributes:
      make: from a run, and what shows how many tiles of a picture are done, to the function of pictures.
      result: the end of the names of the files that are written, `NAME-result.png`.
      uses_alpha: whether the alpha channel says what is missing.
    """

    make: Callable[[TrainedRun, Track], Paint]
    result: str
    uses_alpha: bool = False


def task_of(run: TrainedRun) -> Task:
    """What a run does to pictures.

    Raises:
      ValueError: if the run has no encoder, or its task is unknown.
    """
    name = run.use.get("task")
    if not isinstance(name, str) or name not in TASKS:
        raise ValueError(
            f"{run.directory} is for the task {name!r}, which this version of jaxae does not have"
        )
    if run.model.model.posterior is None:
        raise ValueError(
            f"{run.directory} is a run of {run.model.model.name}, which has no encoder and so cannot "
            "reconstruct images; jaxae sample draws new ones"
        )
    if len(run.inputs.shape) != 3:
        raise ValueError(
            f"{run.directory} was trained on arrays of {run.inputs.shape}, not on images"
        )
    return TASKS[name]


def painter(model: Autoencoder, params: Any, count: int) -> Painter:
    """From inputs of the network to its images in [0, 1], averaged over so many symmetries."""
    # The network is compiled once for all symmetries, for a number of images that fits the cache.
    program = jax.jit(functools.partial(reconstruct, model))
    paint = self_ensemble(lambda x: jnp.clip(program(params, x), 0, 1), count)
    return lambda x: jnp.concatenate([paint(x[i : i + PAINTED]) for i in range(0, len(x), PAINTED)])


def painters(run: TrainedRun) -> Callable[[tuple[int, int]], Painter]:
    """From the size of a picture to the painter of that size, which is compiled once.

    Raises:
      ValueError: if the network takes images of one size only, and this is another.
    """
    trained, free, count = run.inputs.shape[:2], takes_any_size(run.recipe), _symmetries(run)

    @functools.cache
    def of_size(size: tuple[int, int]) -> Painter:
        if size != trained and not free:
            raise ValueError(
                f"the network of this run makes images of {_words(trained)} only, and this would be one of "
                f"{_words(size)}"
            )
        model = run.model if size == trained else from_recipe(at_size(run.recipe, size))
        # Only a square picture can be turned on its side.
        return painter(model, run.params, count if size[0] == size[1] else min(count, 4))

    return of_size


def restore(run: TrainedRun, track: Track) -> Paint:
    """Denoises, translates, or reconstructs pictures.

    For a model that makes images of the kind that it sees, a grey picture is seen in colour if it has to be,
    and the red, green and blue of a picture in colour are three images for a model of grey ones. The result
    is grey or in colour as the picture is.
    """
    shape, seen = run.inputs.shape, run.inputs.seen_shape
    of_size, fits, note = painters(run), takes_any_size(run.recipe), _notes()

    def paint(images: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
        if seen[2] == 1 and shape[2] != 1 and images.shape[-1] == 3:
            x = np.asarray(colors.luma(as_float(images)))
        else:
            x = pictures.channels_of(images, seen[2])
        if fits:
            found = pictures.tiled(of_size, np.asarray(as_float(x)), shape[2], track)
        else:
            note(_about_cut(run, images))
            found = np.asarray(of_size((shape[0], shape[1]))(as_float(run.prepare(list(x)))))
        return pictures.picture_of(found, images.shape[-1]) if seen == shape else found

    return paint


def decode_codes(run: TrainedRun, track: Track) -> Paint:
    """Reconstructs pictures: `decode(encode(x))`.

    Raises:
      ValueError: if the model makes no images, as a classifier.
    """
    if takes_any_size(run.recipe):
        return restore(run, track)
    x = jax.ShapeDtypeStruct((1, *run.inputs.seen_shape), jnp.float32)
    made = jax.eval_shape(functools.partial(reconstruct, run.model), run.params, x)
    if getattr(made, "shape", None) != (1, *run.inputs.shape):
        raise ValueError(
            f"{run.directory} is a run of {run.model.model.name}, which makes no images"
        )
    note = _notes()

    def paint(images: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
        note(_about_cut(run, images))
        if images.shape[-1] == 3 and run.inputs.seen_shape[2] == 1:
            note("the run was trained on grey images, so only the grey levels are used")
        return run.reconstruct(run.prepare(list(images)))

    return paint


def colorize(run: TrainedRun, track: Track) -> Paint:
    """Colours pictures: the colours are predicted at the size of the training images.

    They are combined with the grey levels of the picture at its own size. Colours of the picture are ignored.
    """
    of_size, shape, fits = painters(run), run.inputs.shape, takes_any_size(run.recipe)

    def paint(images: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
        x = as_float(images)
        own = (x.shape[1], x.shape[2])
        grey = colors.luma(x) if x.shape[-1] == 3 else x
        size = pictures.near(own, shape, exactly=not fits)
        small = np.clip(np.repeat(pictures.resized(np.asarray(grey), size), 3, axis=-1), 0, 1)
        found = np.asarray(colors.chroma(of_size(size)(jnp.asarray(small))))
        large = jnp.asarray(pictures.resized(found, own))
        return np.asarray(colors.from_chroma(grey, large))

    return paint


def enlarge(run: TrainedRun, track: Track) -> Paint:
    """Enlarges pictures by an integer factor in each direction.

    Raises:
      ValueError: if the run has no such factor.
    """
    of_size, shape, factor = painters(run), run.inputs.shape, run.use.get("factor")
    if not isinstance(factor, int) or factor < 2:
        raise ValueError(f"{run.directory} records the factor {factor!r}, which is none")

    def paint(images: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
        x = np.asarray(as_float(pictures.channels_of(images, shape[2])))
        size = (factor * x.shape[1], factor * x.shape[2])
        large = np.clip(pictures.resized(x, size), 0, 1)
        found = pictures.tiled(of_size, large, shape[2], track)
        return pictures.picture_of(found, images.shape[-1])

    return paint


def inpaint(run: TrainedRun, track: Track) -> Paint:
    """Fills the transparent pixels of pictures, at the size of the training images."""
    of_size, shape, fits = painters(run), run.inputs.shape, takes_any_size(run.recipe)

    def paint(images: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
        assert alpha is not None
        x = np.asarray(as_float(pictures.channels_of(images, shape[2])))
        own = (x.shape[1], x.shape[2])
        missing = np.repeat(alpha < 0.5, len(x) // len(alpha), axis=0).astype(np.float32)
        size = pictures.near(own, shape, exactly=not fits)
        # A pixel of the small image is the mean of the known pixels that it covers. It counts as missing
        # if less than half of them are known.
        weight = np.clip(pictures.resized(1 - missing, size), 0, 1)
        small_hole = weight < 0.5
        mean = pictures.resized((1 - missing) * x, size) / np.maximum(weight, 0.5)
        small = np.where(small_hole, 0.5, np.clip(mean, 0, 1))
        network_input = np.concatenate([small, small_hole], axis=-1).astype(np.float32)
        found = np.asarray(of_size(size)(jnp.asarray(network_input)))
        large = pictures.resized(found, own)
        return pictures.picture_of(np.where(missing > 0.5, large, x), images.shape[-1])

    return paint


TASKS = {
    "reconstruct": Task(decode_codes, "reconstructed"),
    "denoise": Task(restore, "denoised"),
    "colorize": Task(colorize, "colorized"),
    "enlarge": Task(enlarge, "super_resolved"),
    "inpaint": Task(inpaint, "inpainted", uses_alpha=True),
    "translate": Task(restore, "translated"),
}
"""The tasks, by the names that runs record."""


def _symmetries(run: TrainedRun) -> int:
    count = run.use.get("symmetries", 1)
    if count not in SYMMETRIES:
        raise ValueError(
            f"{run.directory} records {count!r} symmetries; the numbers are 1, 2, 4, 8"
        )
    return count


def _notes() -> Callable[[str], None]:
    """Prints each note once, and nothing for an empty one."""

    @functools.cache
    def note(text: str) -> None:
        if text:
            print(f"note: {text}", file=sys.stderr)

    return note


def _about_cut(run: TrainedRun, images: np.ndarray) -> str:
    size = run.inputs.seen_shape[:2]
    if images.shape[1:3] == size:
        return ""
    return (
        f"the network of this run takes images of {_words(size)} only, so the square in the middle "
        "of a picture is resized, and the results have this size"
    )


def _words(size: Sequence[int]) -> str:
    return f"{size[0]} x {size[1]} pixels"
