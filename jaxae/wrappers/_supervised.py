"""Supervision of a part of the code by labels, where they are known."""

import jax.numpy as jnp
import optax

from jaxae.arguments import checked
from jaxae.arrays import Weight, as_vectors, at_step, check_weights
from jaxae.base import Context, Penalty, Term
from jaxae.composition import Autoencoder
from jaxae.recipes import constructor


@constructor("supervised")
@checked
def supervised(base: Autoencoder, classes: int, *, weight: Weight = 1.0) -> Autoencoder:
    r"""A model whose first code values are class logits, trained where labels are known.

    .. math:: L'(x, y) = L(x) - \lambda \, [y \geq 0] \, \log \operatorname{softmax}(z_{1 \dots k})_y

    Args:
      base: any autoencoder with a code of more than `classes` values; see
        :func:`jaxae.networks.categorical_code`.
      classes: k.
      weight: lambda, a constant or a schedule.

    Returns:
      an :class:`Autoencoder` to be trained on `Batch(images, label=labels)`, -1 where there is none. It
      has the term `cross_entropy` and the metric `error_rate`, both zero for examples without a label.

    Raises:
      ValueError: if there are fewer than two classes or the weight is out of range.

    Examples:
      >>> import jax, jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> base = jaxae.autoencoder(mlp_encoder(3 + 2), mlp_decoder((8, 8, 1)))
      >>> model = supervised(base, 3)
      >>> images, labels = jnp.zeros((2, 8, 8, 1)), jnp.array([0, -1])
      >>> params = model.init(jax.random.key(0), images)
      >>> out = model.loss(params, jax.random.key(1), jaxae.Batch(images, label=labels))
      >>> [round(float(cost), 4) for cost in out.terms["cross_entropy"]]
      [1.0986, 0.0]

    References:
      Makhzani et al., `Adversarial Autoencoders <https://arxiv.org/abs/1511.05644>`_, section 5.
    """
    check_weights(weight=weight)
    if classes < 2:
        raise ValueError(f"there are at least two classes, got {classes}")

    def apply(context: Context) -> tuple[Term, Term]:
        z = as_vectors(context.encoded)
        label = context.batch.label
        label = jnp.full(len(z), -1) if label is None else label
        if z.shape[1] < classes:
            raise ValueError(
                f"codes of {z.shape[1]} values cannot hold the logits of {classes} classes"
            )
        logits, known = z[:, :classes], label >= 0
        cost = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(label, 0))
        wrong = known & (jnp.argmax(logits, axis=-1) != label)
        cost = jnp.where(label < classes, jnp.where(known, cost, 0.0), jnp.nan)
        return (
            Term("cross_entropy", cost, at_step(weight, context.step)),
            Term("error_rate", wrong.astype(jnp.float32), None),
        )

    return base.add(Penalty("supervised", apply, (("classes", classes), ("weight", weight))))
