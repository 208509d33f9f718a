"""Parts of codes, for wrappers that look at a part."""

import jax
from jaxtyping import Array, Float

from jaxae.arguments import checked
from jaxae.base import View
from jaxae.recipes import constructor


@constructor("wrappers.latent_part")
@checked
def latent_part(start: int = 0, stop: int | None = None, *, softmax: bool = False) -> View:
    """The latent dimensions from `start` to `stop`, as a view of :func:`jaxae.adversarial`.

    Args:
      start: the first dimension.
      stop: the dimension after the last one; None for all that follow.
      softmax: whether they are the logits of classes, whose probabilities are returned.

    Examples:
      >>> import jax.numpy as jnp
      >>> latent_part(1, softmax=True)(jnp.array([[5.0, 0.0, 0.0]])).tolist()
      [[0.5, 0.5]]
    """

    def view(z: Float[Array, "b d"]) -> Float[Array, "b k"]:
        part = z[:, start:stop]
        return jax.nn.softmax(part) if softmax else part

    return view
