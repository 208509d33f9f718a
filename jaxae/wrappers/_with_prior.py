"""A model with another prior."""

from jaxtyping import PRNGKeyArray

from jaxae.arguments import checked
from jaxae.arrays import fold_in_name, merge
from jaxae.base import Batch, Distribution, Params, Prior, Tree
from jaxae.composition import Autoencoder
from jaxae.recipes import constructor


@constructor("with_prior")
@checked
def with_prior(base: Autoencoder, prior: Prior) -> Autoencoder:
    r"""A model with another distribution of codes.

    .. math:: x \sim p(x \mid g(z)), \qquad z \sim p(z)

    With :func:`jaxae.priors.gaussian_mixture` of a trained model's codes, a model that has no prior gets
    one afterwards, and can draw samples. Where prior and posterior have a density, `log_weight` and
    :func:`jaxae.analysis.importance_nll` are those of the model with this prior, and so is the bound
    that a VAE is trained with.

    Args:
      base: any autoencoder.
      prior: of its codes.

    Returns:
      the same :class:`Autoencoder` with this prior; where the prior has parameters, they are its
      `prior`.

    Examples:
      >>> import jax, jax.numpy as jnp, jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> base = jaxae.autoencoder(mlp_encoder(2), mlp_decoder((8, 8, 1)))
      >>> params = base.init(jax.random.key(0), jnp.zeros((4, 8, 8, 1)))
      >>> model = with_prior(base, jaxae.priors.standard_normal(2))
      >>> model.sample(params, jax.random.key(1), 5).shape
      (5, 8, 8, 1)
    """

    def init(key: PRNGKeyArray, batch: Batch) -> Params:
        params = dict(base.model.init(key, batch))
        params.pop("prior", None)
        if prior.init is None:
            return params
        return merge(params, {"prior": prior.init(fold_in_name(key, "prior"))})

    def distribution(params: Params, n: int, condition: Tree | None = None) -> Distribution:
        given = condition if prior.conditional else None
        return prior.distribution(params.get("prior"), n, given)

    model = base.model._replace(
        init=init,
        prior=distribution,
        name=f"{base.model.name} with prior={prior.name}",
        conditional_prior=prior.conditional,
    )
    return base._replace(model=model)
