"""Functions from an autoencoder to an autoencoder; each adds a penalty or changes one piece."""

from jaxae.wrappers._adversarial import adversarial
from jaxae.wrappers._contractive import contractive
from jaxae.wrappers._deep_clustering import deep_clustering, soft_assignments, target_distribution
from jaxae.wrappers._denoising import denoising
from jaxae.wrappers._importance_weighted import importance_weighted
from jaxae.wrappers._sparse import kl_sparsity, l1, sparse, top_k
from jaxae.wrappers._supervised import supervised
from jaxae.wrappers._views import latent_part
from jaxae.wrappers._wasserstein import wasserstein
from jaxae.wrappers._with_prior import with_prior

__all__ = [
    "adversarial",
    "contractive",
    "deep_clustering",
    "denoising",
    "importance_weighted",
    "kl_sparsity",
    "l1",
    "latent_part",
    "soft_assignments",
    "sparse",
    "supervised",
    "target_distribution",
    "top_k",
    "wasserstein",
    "with_prior",
]
