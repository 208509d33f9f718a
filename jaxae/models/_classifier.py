"""A classifier on the codes of a trained encoder, trained together with it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.arrays import Step, as_vectors
from jaxae.base import Batch, Distribution, Draws, Model, Network, Objective, Output, Params, Tree
from jaxae.composition import Autoencoder
from jaxae.distributions import families
from jaxae.recipes import constructor


@constructor("classifier")
@checked
def classifier(
    encode: Network | Callable[[Params, Array], Array], pretrained: Params, classes: int
) -> Autoencoder:
    r"""A softmax layer on the codes of a trained model, to be trained together with its encoder.

    .. math:: L(x, y) = -\log \operatorname{softmax}(W f(x) + b)_y

    It is trained, evaluated and saved like any other model:
    `jaxae.fit(classifier(...), jaxae.Batch(images, label=labels), ...)`. Its `decode` gives the
    probabilities of the classes from a code.

    Args:
      encode: `(params, x) -> z`, such as `model.encode`, or a network.
      pretrained: its parameters, where training starts.
      classes: the number of classes. Labels are 0, 1, ... classes - 1; any other label makes the loss
        nan.

    Returns:
      an :class:`Autoencoder` whose loss is the `cross_entropy`, in nats; it has the metric `error_rate`, 1
      if the most probable class is not the label.

    Raises:
      ValueError: if there are fewer than two classes; by `loss`, if there are no labels.

    Examples:
      >>> import jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> images, labels = jnp.zeros((4, 8, 8, 1)), jnp.array([0, 1, 2, 1])
      >>> base = jaxae.autoencoder(mlp_encoder(5), mlp_decoder((8, 8, 1)))
      >>> model = classifier(base.encode, base.init(jax.random.key(0), images), classes=3)
      >>> params = model.init(jax.random.key(1), images)
      >>> out = model.loss(params, jax.random.key(2), jaxae.Batch(images, label=labels))
      >>> round(float(out.loss[0]), 4)  # the layer starts at zero: log 3
      1.0986

    References:
      Hinton and Salakhutdinov, `Reducing the Dimensionality of Data with Neural Networks
      <https://www.cs.toronto.edu/~hinton/absps/science.pdf>`_; Rifai et al., `Contractive
      Auto-Encoders <https://icml.cc/2011/papers/455_icmlpaper.pdf>`_, section 5.
    """
    if classes < 2:
        raise ValueError(f"a classifier needs at least two classes, got {classes}")
    encoder = encode.apply if isinstance(encode, Network) else encode

    def init(key: PRNGKeyArray, batch: Batch) -> Params:
        codes = jax.eval_shape(
            lambda p, x: as_vectors(encoder(p, x)), pretrained, batch.input
        ).shape[-1]
        # At zero all classes are equally likely; the key is not needed.
        head = {"kernel": jnp.zeros((codes, classes)), "bias": jnp.zeros(classes)}
        # Copies, which training may consume.
        return {"pretrained": jax.tree.map(jnp.array, pretrained), "head": head}

    def posterior(params: Params, batch: Batch, *, key: PRNGKeyArray | None = None) -> Distribution:
        return families.point(encoder(params["pretrained"], batch.input))

    def likelihood(
        params: Params, z: Tree, condition: Tree | None = None, *, key: PRNGKeyArray | None = None
    ) -> Distribution:
        logits = as_vectors(z) @ params["head"]["kernel"] + params["head"]["bias"]

        def log_prob(label: Array) -> Array:
            if label.shape != logits.shape[:1]:
                raise ValueError(
                    "a classifier models labels, [n], and not x, so log p(x) cannot be bounded or "
                    "estimated"
                )
            known = (label >= 0) & (label < classes)
            cost = optax.softmax_cross_entropy_with_integer_labels(logits, label)
            return jnp.where(known, -cost, jnp.nan)

        def draw(key: PRNGKeyArray) -> tuple[Array, None]:
            return jax.random.categorical(key, logits), None

        return Distribution(draw, jax.nn.softmax(logits), log_prob)

    def apply(
        model: Model, params: Params, key: PRNGKeyArray, batch: Batch, step: Step, train: bool
    ) -> tuple[Output, Draws]:
        label = batch.label
        if label is None or label.ndim != 1:
            raise ValueError(
                "a classifier is trained with labels, [n]: jaxae.Batch(x, label=labels)"
            )
        q = posterior(params, batch)
        described = likelihood(params, q.mean)
        cross_entropy = -described.log_prob_of(label)
        error = (jnp.argmax(described.mean, axis=-1) != label).astype(jnp.float32)
        out = Output(cross_entropy, {"cross_entropy": cross_entropy}, {"error_rate": error}, q.mean)
        one = jax.tree.map(lambda leaf: leaf[None], q.mean)
        return out, Draws(one, -cross_entropy[None], None, None, q, None, described)

    model = Model(init, posterior, None, likelihood, f"classifier(classes={classes})")
    return Autoencoder(model, Objective("cross_entropy", apply))
