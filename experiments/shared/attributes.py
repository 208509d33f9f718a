"""Latent directions of attributes, and classifiers that judge them."""

import difflib
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

import jaxae
from experiments.shared import datasets
from experiments.shared.judge import AttributeJudges
from jaxae.runs import inference

DEFAULT = ("Eyeglasses", "Blond_Hair-Black_Hair")
JUDGES = 20_000
"""Training images that the judges are trained on, at most."""

Method = Literal["partial", "means", "logistic"]
Terms = list[tuple[str, float]]
"""Attributes and their signs."""


def wanted(dataset: str, names: Sequence[str], data: datasets.Data) -> dict[str, Terms]:
    """The directions that the flags ask for, as attributes and signs.

    Raises:
      ValueError: if an attribute does not exist, or the images do not differ in it.
    """
    known = list(data.attributes[0])
    if not names:
        # Of the default directions, those whose attributes exist and vary.
        names = [n for n in DEFAULT if all(varies(data, part) for part in n.split("-"))]
    elif not known:
        raise ValueError(f"{dataset} has no attributes; leave out --attributes")
    found: dict[str, Terms] = {}
    for name in names:
        parts = [name] if name in known else name.split("-")
        if len(parts) > 2:
            raise ValueError(f"--attributes {name}: a direction is A or A-B")
        for part in parts:
            if part not in known:
                near = difflib.get_close_matches(part, known, n=3, cutoff=0.4)
                hint = (
                    f"did you mean {' or '.join(near)}?" if near else f"it has {len(known)} others"
                )
                raise ValueError(f"{dataset} has no attribute {part!r}; {hint}")
            if not varies(data, part):
                raise ValueError(f"all or none of the training or test images have {part}")
        if len(set(parts)) < len(parts):
            raise ValueError(f"--attributes {name} is the difference of an attribute and itself")
        found[name] = [(part, sign) for part, sign in zip(parts, (1.0, -1.0), strict=False)]
    return found


def varies(data: datasets.Data, attribute: str) -> bool:
    """Whether there are training images and test images with the attribute, and without it."""
    return all(
        attribute in known and 0 < known[attribute].sum() < len(known[attribute])
        for known in (data.attributes[0], data.attributes[2])
    )


def find(method: Method, codes: jax.Array, data: datasets.Data, terms: Terms) -> jax.Array:
    """A direction, computed from the codes of the training images."""
    attributes = data.attributes[0]
    if method == "partial":
        names = [name for name, has in attributes.items() if 0 < has.sum() < len(has)]
        found = jaxae.analysis.partial_directions(
            codes, np.stack([attributes[n] for n in names], axis=1)
        )
        by_name = dict(zip(names, found, strict=True))
        return sum((sign * by_name[name] for name, sign in terms), jnp.zeros(codes.shape[1]))
    of_one = {"means": jaxae.analysis.attribute_vector, "logistic": jaxae.analysis.logistic_normal}
    return sum(
        (sign * of_one[method](codes, attributes[name]) for name, sign in terms),
        jnp.zeros(codes.shape[1]),
    )


def without(data: datasets.Data, terms: Terms) -> np.ndarray:
    """Test images where a direction starts: those without A, and with B if it is A-B."""
    has = data.attributes[2]
    start = ~has[terms[0][0]]
    if len(terms) == 2 and (start & has[terms[1][0]]).any():
        start = start & has[terms[1][0]]
    return np.flatnonzero(start)


def train_judges(
    model: jaxae.Autoencoder, params: Any, codes: jax.Array, data: datasets.Data
) -> AttributeJudges:
    """Classifiers of all attributes, trained on decoded codes of training images."""
    chosen = datasets.spread(len(data.train), JUDGES)
    attributes = {
        name: has[chosen]
        for name, has in data.attributes[0].items()
        if 0 < has[chosen].sum() < len(chosen) and varies(data, name)
    }
    return AttributeJudges(inference.decode(model, params, codes[chosen]), attributes)
