"""The quantities in results.json, in words and with their units.

One name stands for one quantity in every experiment; experiments/README.md has the same list.
"""

import re
from typing import NamedTuple


class Quantity(NamedTuple):
    """A measure: what it is called in tables, and its unit (empty for counts, ratios and fractions)."""

    words: str
    unit: str = ""


QUANTITIES = {
    "loss": Quantity("loss", "nats"),
    "distortion": Quantity("distortion (reconstruction error)", "nats"),
    "rate": Quantity("rate (KL divergence from the prior)", "nats"),
    "negative_elbo": Quantity("negative ELBO (distortion + rate)", "nats"),
    "negative_iwae": Quantity("negative importance-weighted bound", "nats"),
    "nll": Quantity("-log p(x), estimated", "nats"),
    "bits_per_dimension": Quantity("-log p(x) per value", "bits"),
    "cross_entropy": Quantity("cross-entropy of the labels", "nats"),
    "contraction": Quantity("squared norm of the encoder's Jacobian"),
    "sparsity": Quantity("sparsity penalty of the code"),
    "squared_error": Quantity("squared error, summed over an image"),
    "squared_error_unclipped": Quantity("squared error before clipping to [0, 1]"),
    "train_squared_error": Quantity("squared error, training images"),
    "error_over_pca": Quantity("squared error relative to PCA"),
    "mse": Quantity("mean squared error of a pixel value"),
    "psnr": Quantity("PSNR", "dB"),
    "image_psnr": Quantity("PSNR, mean over images", "dB"),
    "ssim": Quantity("SSIM (1: equal images)"),
    "hole_mse": Quantity("mean squared error in the hole"),
    "hole_psnr": Quantity("PSNR in the hole", "dB"),
    "chroma_error": Quantity("squared error of a, b in CIE Lab"),
    "colorfulness": Quantity("colourfulness"),
    "error_rate": Quantity("error rate (fraction of images)"),
    "linear_probe_error_rate": Quantity("error rate, linear classifier of codes"),
    "neighbour_probe_error_rate": Quantity("error rate, nearest neighbours of codes"),
    "accuracy": Quantity("accuracy (clusters matched to classes)"),
    "purity": Quantity("purity (majority class of each cluster)"),
    "nmi": Quantity("normalised mutual information"),
    "ari": Quantity("adjusted Rand index"),
    "explained_variance": Quantity("explained fraction of the variance"),
    "largest_angle": Quantity("largest angle to the subspace of PCA", "degrees"),
    "basis_cosine": Quantity("cosine of the basis to that of PCA"),
    "jacobian": Quantity("norm of the encoder's Jacobian"),
    "saturation": Quantity("saturated units (fraction)"),
    "movement_noise_0.1": Quantity("movement of codes under noise of 0.1"),
    "movement_shift_1": Quantity("movement of codes under a shift by 1"),
    "lipschitz_on": Quantity("relative Lipschitz constant, at codes"),
    "lipschitz_off": Quantity("relative Lipschitz constant, between codes"),
    "jump": Quantity("largest step relative to the mean step"),
    "prior_precision": Quantity("precision of draws from N(0, I)"),
    "prior_recall": Quantity("recall of draws from N(0, I)"),
    "prior_confidence": Quantity("classifier's confidence, N(0, I)"),
    "fitted_precision": Quantity("precision of draws from the fitted normal"),
    "fitted_recall": Quantity("recall of draws from the fitted normal"),
    "mmd": Quantity("squared MMD from the prior, test codes"),
    "train_mmd": Quantity("squared MMD from the prior, training codes"),
    "mmd_of_the_prior_95": Quantity("squared MMD of samples of the prior, 95th percentile"),
    "largest_ks": Quantity("KS distance from the prior, test codes"),
    "train_largest_ks": Quantity("KS distance from the prior, training codes"),
    "largest_ks_of_the_prior_95": Quantity("KS distance of samples of the prior, 95th percentile"),
    "sharpness": Quantity("sharpness"),
    "precision": Quantity("precision"),
    "recall": Quantity("recall"),
    "confidence": Quantity("classifier's confidence"),
    "classes": Quantity("classes among the samples"),
    "nearest_training_image": Quantity("distance to the nearest training image"),
    "probability_before": Quantity("probability of the attribute, before"),
    "probability_after": Quantity("probability of the attribute, after"),
    "others": Quantity("change of the probability of other attributes"),
    "judge_auc": Quantity("AUC of the attribute classifier"),
}


def quantity(measure: str) -> Quantity:
    """What a measure is called; its own name, with spaces, if it is not in the list.

    Examples:
      >>> quantity("psnr")
      Quantity(words='PSNR', unit='dB')
      >>> quantity("fid_mnist_cnn").words
      'Fréchet distance (mnist cnn)'
    """
    if measure in QUANTITIES:
        return QUANTITIES[measure]
    if found := re.fullmatch("fid_(.+)", measure):
        return Quantity(f"Fréchet distance ({found[1].replace('_', ' ')})")
    return Quantity(measure.replace("_", " "))
