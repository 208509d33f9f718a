"""Autoencoders as pure functions in JAX and Flax.

The names below are the library; the modules they come from say what belongs together.
"""

from jaxae.analysis.clustering import (
    ClusterScores,
    cluster_scores,
    majority_classes,
    match_clusters,
    spectral_clusters,
)
from jaxae.analysis.generation import (
    KernelDistance,
    Nearest,
    Quality,
    class_shares,
    entropy,
    frechet_distance,
    kernel_distance,
    nearest,
    precision_recall,
    sharpness,
)
from jaxae.analysis.inception import fid_features
from jaxae.analysis.interpolation import (
    decode_grid,
    draw_like,
    lerp,
    logistic_normal,
    mean_difference,
    normal_quantiles,
    partial_directions,
    plane,
    slerp,
    traversals,
)
from jaxae.analysis.probes import (
    balanced_order,
    classifier,
    label_efficiency,
    linear_probe,
    neighbour_probe,
)
from jaxae.analysis.reconstruction import bits_per_dimension, psnr, squared_error, ssim
from jaxae.analysis.regularity import (
    active_units,
    collapse_report,
    lipschitz,
    speeds,
)
from jaxae.base import (
    Autoencoder,
    Labelled,
    Likelihood,
    Network,
    Output,
    as_float,
    at_step,
    merge,
    reconstruct,
    soft_clip,
)
from jaxae.data import corruptions, masks
from jaxae.data.augmentations import (
    random_affine,
    random_flip,
    random_shift,
    random_symmetry,
    self_ensemble,
)
from jaxae.data.images import Images, from_arrays, is_binary
from jaxae.data.loading import PairSplits, Splits, binarize, load, load_pairs
from jaxae.data.streams import Stream
from jaxae.distributions import priors
from jaxae.distributions.divergences import (
    imq,
    kl_diagonal_normal,
    kl_normal,
    kl_standard_normal,
    kl_standard_normal_per_dimension,
    mmd,
    rbf,
)
from jaxae.distributions.likelihoods import (
    bernoulli,
    categorical,
    color_classes,
    discretized_logistic,
    gaussian,
    laplace,
)
from jaxae.distributions.priors import with_prior
from jaxae.models._autoencoder import autoencoder
from jaxae.models._gan import gan, vae_gan
from jaxae.models._linear import PrincipalComponents, linear_autoencoder, pca, principal_components
from jaxae.models._logistic_pca import logistic_pca
from jaxae.models._tied import tied_autoencoder
from jaxae.models._vae import (
    beta_schedule,
    diagonal_posterior,
    importance_nll,
    importance_weighted,
    vae,
)
from jaxae.networks.basic import (
    activate,
    conv_decoder,
    conv_encoder,
    linen,
    mlp_decoder,
    mlp_encoder,
    resnet_decoder,
    resnet_encoder,
    spectral_norm,
)
from jaxae.networks.unet import unet_decoder, unet_encoder, with_input
from jaxae.objectives.adversarial import Game, every, play, players, slope, verdict
from jaxae.runtime import parallel
from jaxae.training.checkpoints import Checkpoints
from jaxae.training.ema import average, averaged
from jaxae.training.ensembles import ManyFits, fit_many
from jaxae.training.fitting import Fit, Interrupted, NonFiniteError, fit
from jaxae.training.step import (
    TrainState,
    init_state,
    loss_scores,
    make_epoch,
    make_evaluate,
    make_step,
    means,
)
from jaxae.wrappers._adversarial import adversarial, categorical_code, supervised
from jaxae.wrappers._contractive import contractive, squared_jacobian_norm
from jaxae.wrappers._deep_clustering import deep_clustering, sharpened, soft_assignments
from jaxae.wrappers._denoising import LinearDenoiser, denoising, linear_denoiser
from jaxae.wrappers._sparse import l1, rate_divergence, sparse, top_k
from jaxae.wrappers._wasserstein import wasserstein

__all__ = [
    "Autoencoder",
    "Checkpoints",
    "ClusterScores",
    "Fit",
    "Game",
    "Images",
    "Interrupted",
    "KernelDistance",
    "Labelled",
    "Likelihood",
    "LinearDenoiser",
    "ManyFits",
    "Nearest",
    "Network",
    "NonFiniteError",
    "Output",
    "PairSplits",
    "PrincipalComponents",
    "Quality",
    "Splits",
    "Stream",
    "TrainState",
    "activate",
    "active_units",
    "adversarial",
    "as_float",
    "at_step",
    "autoencoder",
    "average",
    "averaged",
    "balanced_order",
    "bernoulli",
    "beta_schedule",
    "binarize",
    "bits_per_dimension",
    "categorical",
    "categorical_code",
    "class_shares",
    "classifier",
    "cluster_scores",
    "collapse_report",
    "color_classes",
    "contractive",
    "conv_decoder",
    "conv_encoder",
    "corruptions",
    "decode_grid",
    "deep_clustering",
    "denoising",
    "diagonal_posterior",
    "discretized_logistic",
    "draw_like",
    "entropy",
    "every",
    "fid_features",
    "fit",
    "fit_many",
    "frechet_distance",
    "from_arrays",
    "gan",
    "gaussian",
    "importance_nll",
    "importance_weighted",
    "imq",
    "init_state",
    "is_binary",
    "kernel_distance",
    "kl_diagonal_normal",
    "kl_normal",
    "kl_standard_normal",
    "kl_standard_normal_per_dimension",
    "l1",
    "label_efficiency",
    "laplace",
    "lerp",
    "linear_autoencoder",
    "linear_denoiser",
    "linear_probe",
    "linen",
    "lipschitz",
    "load",
    "load_pairs",
    "logistic_normal",
    "logistic_pca",
    "loss_scores",
    "majority_classes",
    "make_epoch",
    "make_evaluate",
    "make_step",
    "masks",
    "match_clusters",
    "mean_difference",
    "means",
    "merge",
    "mlp_decoder",
    "mlp_encoder",
    "mmd",
    "nearest",
    "neighbour_probe",
    "normal_quantiles",
    "parallel",
    "partial_directions",
    "pca",
    "plane",
    "play",
    "players",
    "precision_recall",
    "principal_components",
    "priors",
    "psnr",
    "random_affine",
    "random_flip",
    "random_shift",
    "random_symmetry",
    "rate_divergence",
    "rbf",
    "reconstruct",
    "resnet_decoder",
    "resnet_encoder",
    "self_ensemble",
    "sharpened",
    "sharpness",
    "slerp",
    "slope",
    "soft_assignments",
    "soft_clip",
    "sparse",
    "spectral_clusters",
    "spectral_norm",
    "speeds",
    "squared_error",
    "squared_jacobian_norm",
    "ssim",
    "supervised",
    "tied_autoencoder",
    "top_k",
    "traversals",
    "unet_decoder",
    "unet_encoder",
    "vae",
    "vae_gan",
    "verdict",
    "wasserstein",
    "with_input",
    "with_prior",
]

__version__ = "0.1.0"
