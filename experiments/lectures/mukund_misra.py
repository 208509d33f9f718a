"""Criteria of the rows of lecture 000: Madhavan Mukund and Pranabendu Misra."""

from collections.abc import Mapping

import numpy as np

from experiments.lectures.rows import Criterion, Found, above, below, equal

Runs = Mapping[str, Found]


def autoencoder(runs: Runs) -> list[Criterion]:
    """Row 1: the autoencoder."""
    found = runs["autoencoder"]
    mean = found["code_16/mean_image/squared_error"]
    two, sixteen = (found[f"code_{code}/test/squared_error"] for code in (2, 16))
    return [
        below(
            "squared error of test images, code 16", sixteen, 0.4 * mean, "40 % of the mean image's"
        ),
        below("squared error of test images, code 2", two, 0.9 * mean, "90 % of the mean image's"),
        above(
            "error of code 2 over that of code 16", two / sixteen, 1.5, "the larger code keeps more"
        ),
    ]


def losses(runs: Runs) -> list[Criterion]:
    """Row 2: loss functions."""
    formulas, squared, entropy = (runs[k] for k in ("losses", "squared-error", "autoencoder"))
    mean = squared["mean_image/squared_error"]
    name = "relative difference of jaxae from the formula"
    return [
        below(f"{name}, half the squared error", formulas["squared/relative_difference"], 1e-5),
        below(f"{name}, cross-entropy", formulas["cross_entropy/relative_difference"], 1e-5),
        equal(
            "cross-entropy from the logit 200, x = 0",
            formulas["cross_entropy/at_logit_200"],
            200,
            1e-3,
            "nats",
        ),
        below(
            "error after training with half the squared error",
            squared["test/squared_error"],
            0.4 * mean,
            "40 % of the mean image's",
        ),
        below(
            "error after training with cross-entropy",
            entropy["code_16/test/squared_error"],
            0.4 * mean,
            "40 % of the mean image's",
        ),
    ]


LECTURE_CODES = (-0.63, -0.39, 0.09, 0.41, 0.53)
LECTURE_POINTS = ((-0.54, -0.33), (-0.34, -0.20), (0.07, 0.04), (0.35, 0.21), (0.46, 0.27))
"""The table of lecture 001."""


def linear(runs: Runs) -> list[Criterion]:
    """Row 3: PCA and the linear autoencoder."""
    from experiments.linear import lecture_table

    found = runs["linear"]
    codes, points = lecture_table()
    off = max(
        np.abs(np.abs(codes) - np.abs(LECTURE_CODES)).max(), np.abs(points - LECTURE_POINTS).max()
    )
    criteria = [
        below(
            "five points: largest difference from the lecture's table",
            float(off),
            0.0151,
            "it has two decimals",
        )
    ]
    for name in ("untied", "tied"):
        criteria += [
            below(f"{name}: test error over that of PCA", found[f"{name}/error_over_pca"], 1.01),
            below(
                f"{name}: largest angle to the subspace of PCA",
                found[f"{name}/largest_angle"],
                6,
                "of 90",
                "degrees",
            ),
            below(
                f"{name}: cosine between the bases",
                found[f"{name}/basis_cosine"],
                0.95,
                "1 is the same basis",
            ),
        ]
    return criteria


def denoising(runs: Runs) -> list[Criterion]:
    """Row 5: the denoising autoencoder."""
    criteria = []
    for name in ("gaussian", "masking", "salt-and-pepper"):
        found = runs[f"denoising-{name}"]
        words = name.replace("-", " ")
        criteria.append(
            above(
                f"{words}: PSNR of denoised test images",
                found["test/psnr"],
                found["corrupted/psnr"] + 3,
                "3 dB above the corrupted ones",
                "dB",
            )
        )
    found = runs["denoising-gaussian"]
    criteria.append(
        above(
            "gaussian: PSNR of denoised test images",
            found["test/psnr"],
            found["median_filter/psnr"],
            "a median filter",
            "dB",
        )
    )
    return criteria


def contractive(runs: Runs) -> list[Criterion]:
    """Row 6: the contractive autoencoder."""
    found = runs["movements"]
    return [
        below(
            "contractive: norm of the Jacobian, relative to the distance between codes",
            found["CAE/jacobian"],
            0.75 * found["AE/jacobian"],
            "75 % of the plain autoencoder's",
        ),
        below(
            "contractive: movement of codes under noise of 0.1, relative in the same way",
            found["CAE/movement"],
            0.75 * found["AE/movement"],
            "75 % of the plain autoencoder's",
        ),
    ]


def vae(runs: Runs) -> list[Criterion]:
    """Row 9: the variational autoencoder."""
    draws, found = runs["reparameterisation"], runs["vae"]
    parts = found["test/distortion"] + found["test/rate"]
    return [
        below("draws: difference of the mean from E(z)", draws["mean_difference"], 0.02),
        below("draws: difference of the variance from V(z)", draws["variance_difference"], 0.05),
        below(
            "derivative of E z² by E(z): difference from 2 E(z)", draws["gradient_by_mean"], 0.05
        ),
        below("derivative of E z² by V(z): difference from 1", draws["gradient_by_variance"], 0.05),
        equal("-ELBO of test images", found["test/negative_elbo"], parts, 0.01, "nats"),
        below(
            "-ELBO of test images",
            found["test/negative_elbo"],
            140,
            "a model without a code has 206 nats",
            "nats",
        ),
        above("KL divergence of test images", found["test/rate"], 5, "the code is used", "nats"),
    ]


def beta(runs: Runs) -> list[Criterion]:
    """Row 10: the weight beta, and cheating by narrow variances."""
    zero, one, width = runs["vae-beta-0"], runs["latent-space"], runs["widths"]
    narrow, wide = (
        width[f"{name}/width"] / width[f"{name}/spread"] for name in ("VAE-beta-0", "VAE")
    )
    return [
        below(
            "width of q(z | x) relative to the spread of all codes, beta 0",
            narrow,
            0.5 * wide,
            "half of that with beta 1",
        ),
        above(
            "KL(q(z | x) ‖ p(z)) with beta 0",
            zero["test/rate"],
            2 * one["VAE/rate"],
            "twice that with beta 1",
            "nats",
        ),
    ]


def divergences(runs: Runs) -> list[Criterion]:
    """Row 11: the KL divergence in closed form."""
    found = runs["divergences"]
    return [
        below(
            "to N(0, 1): closed form and integral differ by",
            found["standard/difference"],
            1e-4,
            unit="nats",
        ),
        below(
            "between two Gaussians: closed form and integral differ by",
            found["between/difference"],
            1e-4,
            unit="nats",
        ),
        equal(
            "variance with the least divergence from N(0, 1)", found["least_at_variance"], 1, 0.06
        ),
    ]


def random_codes(runs: Runs) -> list[Criterion]:
    """Row 13: random codes: expectation and reality."""
    found = runs["latent-space"]
    return [
        above(
            "VAE: realistic images among decoded random codes, a fraction",
            found["VAE/prior_precision"],
            found["AE/prior_precision"] + 0.05,
            "0.05 above the plain autoencoder's",
        ),
        below(
            "VAE: distance of decoded random codes to the nearest test image",
            found["VAE/prior_nearest"],
            0.9 * found["AE/prior_nearest"],
            "90 % of the plain autoencoder's; 1 is that of other images",
        ),
    ]


def interpolation(runs: Runs) -> list[Criterion]:
    """Row 16: interpolation in pixels and in codes."""
    found = runs["halfway"]
    return [
        above(
            "halfway in codes: agreement of the 10 nearest training images on a class",
            found["codes/agreement"],
            found["pixels/agreement"] + 0.02,
            "0.02 above that halfway in pixels",
        ),
        below(
            "halfway in codes: distance to the nearest training image",
            found["codes/distance"],
            0.95 * found["pixels/distance"],
            "95 % of that halfway in pixels",
        ),
    ]


def attributes(runs: Runs) -> list[Criterion]:
    """Row 17: attributes of faces: hair colour and glasses."""
    found = runs["faces"]
    criteria = []
    for name, words in {"Eyeglasses": "glasses", "Blond_Hair-Black_Hair": "fair hair"}.items():
        before, after, others = (
            found[f"{name}/{key}"] for key in ("probability_before", "probability_after", "others")
        )
        criteria += [
            above(
                f"{words}: probability after the move, by a classifier",
                after,
                before + 0.3,
                "0.3 above that before",
            ),
            below(
                f"{words}: mean change of the other attributes",
                others,
                after - before,
                "the change of this one",
            ),
        ]
    return criteria


def samples(runs: Runs) -> list[Criterion]:
    """Row 18: samples of faces and of colour images."""
    found, drawn, colours = runs["faces"], runs["sampled-faces"], runs["vae-colours"]
    return [
        below(
            "sampled faces: distance to the nearest face, 1 is that of other faces",
            drawn["samples/nearest"],
            0.8 * drawn["scrambled/nearest"],
            "80 % of that of scrambled faces",
        ),
        below(
            "faces, code 50: squared error of test images",
            found["test/squared_error"],
            0.4 * found["mean_image/squared_error"],
            "40 % of the mean image's",
        ),
        above("faces: KL divergence", found["test/rate"], 5, "the code is used", "nats"),
        below(
            "colour images: squared error of test images",
            colours["test/squared_error"],
            0.5 * colours["mean_image/squared_error"],
            "half of the mean image's",
        ),
    ]


def super_resolution(runs: Runs) -> list[Criterion]:
    """Row 20: super-resolution."""
    found = runs["super-resolution"]
    return [
        above(
            "PSNR of enlarged test images",
            found["test/psnr"],
            found["bicubic/psnr"] + 0.5,
            "0.5 dB above bicubic",
            "dB",
        ),
        above("structural similarity", found["test/ssim"], found["bicubic/ssim"], "bicubic"),
    ]


def translation(runs: Runs) -> list[Criterion]:
    """Row 28: shifting an image; night and day."""
    shift, night = runs["translation"], runs["night"]
    return [
        above(
            "shifted: PSNR of test images",
            shift["test/psnr"],
            shift["mean_target/psnr"] + 5,
            "5 dB above the mean target",
            "dB",
        ),
        above(
            "shifted: PSNR of test images",
            shift["test/psnr"],
            shift["input/psnr"] + 5,
            "5 dB above the input",
            "dB",
        ),
        above(
            "night to day: PSNR of test images",
            night["test/psnr"],
            night["input/psnr"] + 5,
            "5 dB above the input",
            "dB",
        ),
    ]


def music(runs: Runs) -> list[Criterion]:
    """Row 29: music: noise removed."""
    found = runs["music"]
    return [
        above(
            "notes: signal to noise of test windows",
            found["test/signal_to_noise"],
            found["noisy/signal_to_noise"] + 8,
            "8 dB above the noisy ones",
            "dB",
        ),
        above(
            "notes: signal to noise of test windows",
            found["test/signal_to_noise"],
            found["linear/signal_to_noise"] + 1,
            "1 dB above the best linear filter",
            "dB",
        ),
        above(
            "melody: signal to noise",
            found["melody/signal_to_noise"],
            found["melody_noisy/signal_to_noise"] + 8,
            "8 dB above the noisy one",
            "dB",
        ),
    ]


CRITERIA = {
    1: autoencoder,
    2: losses,
    3: linear,
    5: denoising,
    6: contractive,
    9: vae,
    10: beta,
    11: divergences,
    13: random_codes,
    16: interpolation,
    17: attributes,
    18: samples,
    20: super_resolution,
    28: translation,
    29: music,
}
"""By the numbers of the rows."""
