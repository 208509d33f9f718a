"""The quantities in results.json, in words, with their units, and whether smaller or larger is better.

One name stands for one quantity in every experiment; experiments/README.md has the same list.
"""

import re
from typing import Literal, NamedTuple

Better = Literal["lower", "higher", ""]


class Quantity(NamedTuple):
    """A measure.

    Attributes:
      words: what it is called in tables.
      unit: its unit; empty for counts, ratios and fractions.
      better: whether lower or higher values are better; empty where neither is, as for a rate, which a
        model trades for distortion.
    """

    words: str
    unit: str = ""
    better: Better = ""


QUANTITIES = {
    "loss": Quantity("loss", "nats"),
    "distortion": Quantity("distortion (reconstruction error)", "nats"),
    "rate": Quantity("rate (KL divergence from the prior)", "nats"),
    "negative_elbo": Quantity("negative ELBO (distortion + rate)", "nats", "lower"),
    "negative_iwae": Quantity("negative importance-weighted bound", "nats", "lower"),
    "nll": Quantity("-log p(x), estimated", "nats", "lower"),
    "bits_per_dimension": Quantity("-log p(x) per value", "bits", "lower"),
    "cross_entropy": Quantity("cross-entropy of the labels", "nats", "lower"),
    "contraction": Quantity("squared norm of the encoder's Jacobian"),
    "sparsity": Quantity("sparsity penalty of the code"),
    "active_units": Quantity("active units (variance of the posterior mean > 0.01)"),
    "squared_error": Quantity("squared error, summed over an image", better="lower"),
    "squared_error_unclipped": Quantity("squared error before clipping to [0, 1]", better="lower"),
    "train_squared_error": Quantity("squared error, training images"),
    "error_over_pca": Quantity("squared error relative to PCA", better="lower"),
    "mse": Quantity("mean squared error of a pixel value", better="lower"),
    "psnr": Quantity("PSNR", "dB", "higher"),
    "image_psnr": Quantity("PSNR, mean over images", "dB", "higher"),
    "ssim": Quantity("SSIM (1: equal images)", better="higher"),
    "hole_mse": Quantity("mean squared error in the hole", better="lower"),
    "hole_psnr": Quantity("PSNR in the hole", "dB", "higher"),
    "chroma_error": Quantity("squared error of a, b in CIE Lab", better="lower"),
    "colorfulness": Quantity("colourfulness"),
    "error_rate": Quantity("error rate (fraction of images)", better="lower"),
    "linear_probe_error_rate": Quantity("error rate, linear classifier of codes", better="lower"),
    "neighbour_probe_error_rate": Quantity(
        "error rate, nearest neighbours of codes", better="lower"
    ),
    "accuracy": Quantity("accuracy (clusters matched to classes)", better="higher"),
    "purity": Quantity("purity (majority class of each cluster)", better="higher"),
    "nmi": Quantity("normalised mutual information", better="higher"),
    "ari": Quantity("adjusted Rand index", better="higher"),
    "explained_variance": Quantity("explained fraction of the variance"),
    "largest_angle": Quantity("largest angle to the subspace of PCA", "degrees", "lower"),
    "basis_cosine": Quantity("cosine of the basis to that of PCA", better="higher"),
    "jacobian": Quantity("norm of the encoder's Jacobian"),
    "saturation": Quantity("saturated units (fraction)"),
    "movement_noise_0.1": Quantity("movement of codes under noise of 0.1"),
    "movement_shift_1": Quantity("movement of codes under a shift by 1"),
    "lipschitz_on": Quantity("relative Lipschitz constant, at codes"),
    "lipschitz_off": Quantity("relative Lipschitz constant, between codes"),
    "jump": Quantity("largest step relative to the mean step"),
    "prior_precision": Quantity("precision of draws from N(0, I)", better="higher"),
    "prior_recall": Quantity("recall of draws from N(0, I)", better="higher"),
    "prior_confidence": Quantity("classifier's confidence, N(0, I)", better="higher"),
    "fitted_precision": Quantity("precision of draws from the fitted normal", better="higher"),
    "fitted_recall": Quantity("recall of draws from the fitted normal", better="higher"),
    "mmd": Quantity("squared MMD from the prior, test codes", better="lower"),
    "train_mmd": Quantity("squared MMD from the prior, training codes"),
    "mmd_of_the_prior_95": Quantity("squared MMD of samples of the prior, 95th percentile"),
    "largest_ks": Quantity("KS distance from the prior, test codes", better="lower"),
    "train_largest_ks": Quantity("KS distance from the prior, training codes"),
    "largest_ks_of_the_prior_95": Quantity("KS distance of samples of the prior, 95th percentile"),
    "sharpness": Quantity("sharpness"),
    "precision": Quantity("precision", better="higher"),
    "recall": Quantity("recall", better="higher"),
    "confidence": Quantity("classifier's confidence", better="higher"),
    "classes": Quantity("classes among the samples", better="higher"),
    "nearest_training_image": Quantity("distance to the nearest training image"),
    "probability_before": Quantity("probability of the attribute, before"),
    "probability_after": Quantity("probability of the attribute, after"),
    "others": Quantity("change of the probability of other attributes"),
    "judge_auc": Quantity("AUC of the attribute classifier", better="higher"),
}


def quantity(measure: str) -> Quantity:
    """What a measure is called; its own name, with spaces, if it is not in the list.

    Examples:
      >>> quantity("psnr")
      Quantity(words='PSNR', unit='dB', better='higher')
      >>> quantity("fid_mnist_cnn").words
      'Fréchet distance (mnist cnn)'
    """
    if measure in QUANTITIES:
        return QUANTITIES[measure]
    if found := re.fullmatch("fid_(.+)", measure):
        return Quantity(f"Fréchet distance ({found[1].replace('_', ' ')})", better="lower")
    return Quantity(measure.replace("_", " "))
