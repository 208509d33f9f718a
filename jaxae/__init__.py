"""Autoencoders as pure functions in JAX and Flax.

The names below are the library; the modules they come from say what belongs together.
"""

from jaxae import corruptions, masks, parallel, priors
from jaxae.adversarial import adversarial, categorical_code, supervised
from jaxae.augmentations import (
    random_affine,
    random_flip,
    random_shift,
    random_symmetry,
    self_ensemble,
)
from jaxae.autoencoder import autoencoder
from jaxae.averaging import average, averaged
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
from jaxae.checkpoint import Checkpoints
from jaxae.clustering import (
    ClusterScores,
    cluster_scores,
    majority_classes,
    match_clusters,
    spectral_clusters,
)
from jaxae.contractive import contractive, squared_jacobian_norm
from jaxae.data import PairSplits, Splits, binarize, load, load_pairs
from jaxae.deep_clustering import deep_clustering, sharpened, soft_assignments
from jaxae.denoising import LinearDenoiser, denoising, linear_denoiser
from jaxae.divergences import (
    imq,
    kl_diagonal_normal,
    kl_normal,
    kl_standard_normal,
    kl_standard_normal_per_dimension,
    mmd,
    rbf,
)
from jaxae.fidelity import (
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
from jaxae.fitting import Fit, Interrupted, NonFiniteError, fit
from jaxae.gan import gan, vae_gan
from jaxae.images import Images, from_arrays, is_binary
from jaxae.inception import fid_features
from jaxae.latent import (
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
from jaxae.likelihoods import (
    bernoulli,
    categorical,
    color_classes,
    discretized_logistic,
    gaussian,
    laplace,
)
from jaxae.linear import PrincipalComponents, linear_autoencoder, pca, principal_components
from jaxae.logistic_pca import logistic_pca
from jaxae.many import ManyFits, fit_many
from jaxae.metrics import bits_per_dimension, psnr, squared_error, ssim
from jaxae.networks import (
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
from jaxae.players import Game, every, play, players, slope, verdict
from jaxae.priors import with_prior
from jaxae.probes import balanced_order, classifier, label_efficiency, linear_probe, neighbour_probe
from jaxae.regularity import (
    active_units,
    collapse_report,
    lipschitz,
    speeds,
)
from jaxae.sparse import l1, rate_divergence, sparse, top_k
from jaxae.streams import Stream
from jaxae.tied import tied_autoencoder
from jaxae.training import (
    TrainState,
    init_state,
    loss_scores,
    make_epoch,
    make_evaluate,
    make_step,
    means,
)
from jaxae.unet import unet_decoder, unet_encoder, with_input
from jaxae.vae import (
    beta_schedule,
    diagonal_posterior,
    importance_nll,
    importance_weighted,
    vae,
)
from jaxae.wasserstein import wasserstein

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
