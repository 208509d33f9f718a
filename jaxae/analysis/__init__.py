"""Measures of latent codes, reconstructions and samples."""

from jaxae.analysis.baselines import LinearDenoiser, linear_denoiser
from jaxae.analysis.cluster_refinement import RefinedClusters, refine_clusters
from jaxae.analysis.clustering import (
    ClusterScores,
    cluster_scores,
    majority_classes,
    match_clusters,
    spectral_clusters,
)
from jaxae.analysis.directions import attribute_vector, logistic_normal, partial_directions
from jaxae.analysis.generation import (
    KernelDistance,
    class_shares,
    entropy,
    frechet_distance,
    kernel_distance,
    sharpness,
)
from jaxae.analysis.generation_report import ImageClassifier, certainty, make_generation_report
from jaxae.analysis.inception import fid_features
from jaxae.analysis.interpolation import (
    between,
    decode_grid,
    draw_like,
    lerp,
    normal_quantiles,
    plane,
    slerp,
    traversals,
)
from jaxae.analysis.latent_report import Continuity, completeness, continuity
from jaxae.analysis.likelihood import importance_nll
from jaxae.analysis.neighbours import Nearest, Quality, k_nearest, nearest, precision_recall
from jaxae.analysis.prior_comparison import make_prior_test, prior_kernel
from jaxae.analysis.probes import balanced_order, label_efficiency, linear_probe, neighbour_probe
from jaxae.analysis.reconstruction import bits_per_dimension, psnr, squared_error, ssim
from jaxae.analysis.regularity import (
    active_units,
    collapse_report,
    kl_per_dimension,
    lipschitz,
    path_speeds,
)

__all__ = [
    "ClusterScores",
    "Continuity",
    "ImageClassifier",
    "KernelDistance",
    "LinearDenoiser",
    "Nearest",
    "Quality",
    "RefinedClusters",
    "active_units",
    "attribute_vector",
    "balanced_order",
    "between",
    "bits_per_dimension",
    "certainty",
    "class_shares",
    "cluster_scores",
    "collapse_report",
    "completeness",
    "continuity",
    "decode_grid",
    "draw_like",
    "entropy",
    "fid_features",
    "frechet_distance",
    "importance_nll",
    "kernel_distance",
    "kl_per_dimension",
    "label_efficiency",
    "k_nearest",
    "lerp",
    "linear_denoiser",
    "linear_probe",
    "lipschitz",
    "logistic_normal",
    "majority_classes",
    "make_generation_report",
    "make_prior_test",
    "match_clusters",
    "nearest",
    "neighbour_probe",
    "normal_quantiles",
    "partial_directions",
    "path_speeds",
    "plane",
    "precision_recall",
    "prior_kernel",
    "psnr",
    "refine_clusters",
    "sharpness",
    "slerp",
    "spectral_clusters",
    "squared_error",
    "ssim",
    "traversals",
]
