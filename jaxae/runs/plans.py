"""Plans: a model as the values of the flags that ask for it."""

import dataclasses

from jaxae.composition import Autoencoder
from jaxae.models import autoencoder, tied_autoencoder, vae
from jaxae.networks import activate
from jaxae.objectives import beta_schedule
from jaxae.objectives.jacobian import Mode
from jaxae.runs import pieces
from jaxae.wrappers import contractive, denoising, importance_weighted, sparse


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """The values that a model is built from.

    Attributes:
      model: autoencoder, tied_autoencoder or vae.
      shape: of one image.
      latent_dim: the dimensions of a code.
      likelihood, scale: see :func:`jaxae.runs.pieces.likelihood`.
      network, hidden, gated, dropout, remat, precision: see :func:`jaxae.runs.pieces.networks`; a tied
        autoencoder has only `hidden`.
      beta, beta_warmup, cycles, steps: the schedule of the weight of the KL divergence in a run of so
        many steps, see :func:`jaxae.objectives.beta_schedule`; of a VAE.
      free_bits, samples: see :func:`jaxae.vae`.
      importance_weighted: samples of the importance-weighted bound, which then replaces the ELBO.
      sparse: `l1:WEIGHT`, `kl:WEIGHT:RATE` or `top_k:K`.
      contract, jacobian: the weight of the contraction, and how it is computed.
      corrupt: corruptions such as `masking:0.3`, one after the other.
    """

    model: str
    shape: tuple[int, ...]
    latent_dim: int
    likelihood: str
    scale: float | str | None = None
    network: str = "mlp"
    hidden: tuple[int, ...] | None = None
    gated: bool = False
    dropout: float = 0.0
    remat: bool = False
    precision: str = "float32"
    beta: float = 1.0
    beta_warmup: float = 0.0
    cycles: int = 1
    steps: int = 1
    free_bits: float = 0.0
    samples: int = 1
    importance_weighted: int | None = None
    sparse: str | None = None
    contract: float | None = None
    jacobian: Mode = "auto"
    corrupt: tuple[str, ...] = ()


def build(plan: Plan) -> Autoencoder:
    """Builds the model of a plan.

    Raises:
      ValueError: if a value is unknown, out of range, or does not fit the others.

    Examples:
      >>> plan = Plan(model="vae", shape=(8, 8, 1), latent_dim=2, likelihood="bernoulli",
      ...             corrupt=("masking:0.3", "erase:0.4"))
      >>> build(plan)
      Autoencoder(
        model: vae(likelihood=bernoulli, posterior=gaussian(2), prior=standard_normal(2))
        objective: elbo(beta=1.0, samples=1, free_bits=0.0)
        corruption: compose
        monitor: loss
      )
    """
    r = plan
    if r.model not in ("autoencoder", "tied_autoencoder", "vae"):
        raise ValueError(
            f"there is no model {r.model!r}, only autoencoder, tied_autoencoder and vae"
        )
    likelihood = pieces.likelihood(r.likelihood, r.scale)
    extra = pieces.sparsity(r.sparse, stochastic=r.model == "vae")
    if r.model == "tied_autoencoder":
        model = tied_autoencoder(
            r.shape,
            r.latent_dim,
            r.hidden or (),
            code_activation=extra.activation,
            likelihood=likelihood,
        )
    else:
        encoder, decoder = pieces.networks(
            r.network,
            r.shape,
            likelihood.outputs,
            r.latent_dim * (2 if r.model == "vae" else 1),
            hidden=r.hidden,
            dropout=r.dropout,
            precision=r.precision,
            gated=r.gated,
            remat=r.remat,
        )
        if extra.activation is not None:
            encoder = activate(encoder, extra.activation)
        if r.model == "autoencoder":
            model = autoencoder(encoder, decoder, likelihood)
        else:
            beta = beta_schedule(r.beta, r.steps, warmup=r.beta_warmup, cycles=r.cycles)
            model = vae(
                encoder,
                decoder,
                likelihood,
                latent_dim=r.latent_dim,
                beta=beta,
                samples=r.samples,
                free_bits=r.free_bits,
            )
    if r.importance_weighted is not None:
        model = importance_weighted(model, r.importance_weighted)
    if extra.penalty is not None:
        model = sparse(model, extra.weight, extra.penalty)
    if r.contract is not None:
        model = contractive(model, r.contract, mode=r.jacobian)
    if r.corrupt:
        model = denoising(model, pieces.corruption(r.corrupt))
    return model
