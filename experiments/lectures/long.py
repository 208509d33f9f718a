"""Criteria of the rows of lecture 003: Liangqu Long."""

from collections.abc import Mapping

from PIL import Image

from experiments.lectures.rows import Criterion, Found, above, below, equal

Runs = Mapping[str, Found]


def dropout(runs: Runs) -> list[Criterion]:
    """Row 7: the dropout autoencoder."""
    found = runs["dropout"]

    def gap(rate: str) -> float:
        test, train = (found[f"rate_{rate}/{k}"] for k in ("squared_error", "train_squared_error"))
        return test - train

    return [
        below(
            "test error minus training error, rate 0.2",
            gap("0.2"),
            gap("0"),
            "that without dropout",
        ),
        below(
            "test error minus training error, rate 0.5",
            gap("0.5"),
            0.7 * gap("0"),
            "70 % of that without dropout",
        ),
        above(
            "training error, rate 0.5",
            found["rate_0.5/train_squared_error"],
            found["rate_0/train_squared_error"],
            "that without dropout",
        ),
    ]


def adversarial(runs: Runs) -> list[Criterion]:
    """Row 8: the adversarial autoencoder."""
    found = runs["adversarial"]
    return [
        below(
            "distance of the codes of test images from the prior (MMD²)",
            found["AAE/mmd"],
            0.2 * found["AE/mmd"],
            "a fifth of that without an adversary",
        ),
        below(
            "squared error of test images",
            found["AAE/squared_error"],
            0.95 * found["mean_image/squared_error"],
            "95 % of the mean image's: codes still tell about images",
        ),
    ]


def projector(runs: Runs) -> list[Criterion]:
    """Row 24: codes for the embedding projector."""
    folder = runs["latent-space"].directory / "projector" / "VAE"
    vectors = (folder / "vectors.tsv").read_text().splitlines()
    metadata = (folder / "metadata.tsv").read_text().splitlines()
    with Image.open(folder / "sprite.png") as sprite:
        width = sprite.width
    return [
        above("codes in vectors.tsv", len(vectors), 99),
        equal("labels in metadata.tsv", len(metadata), len(vectors), 1),
        equal("numbers in each line", len(vectors[0].split("\t")), 2, 0),
        above("pixels along a side of sprite.png", width, 99),
    ]


def compression(runs: Runs) -> list[Criterion]:
    """Row 25: compression: the size of the code against the error."""
    found = runs["autoencoder"]
    codes = (2, 4, 16, 32)
    errors = [found[f"code_{code}/test/squared_error"] for code in codes]
    mean = found["code_2/mean_image/squared_error"]
    return [
        *(
            below(
                f"squared error of test images, code {codes[i]}",
                errors[i],
                errors[i - 1],
                f"that of code {codes[i - 1]}",
            )
            for i in range(1, len(codes))
        ),
        above(
            "kept of the variance of an image, code 32",
            1 - errors[-1] / mean,
            0.7,
            "with 32 numbers for 784 pixels",
        ),
    ]


def reports(runs: Runs) -> list[Criterion]:
    """Row 26: AE against VAE, and VAE against GAN."""
    found, samples = runs["latent-space"], runs["gan"]
    return [
        below(
            "VAE: relative Lipschitz constant",
            found["VAE/lipschitz_on"],
            found["AE/lipschitz_on"],
            "the plain autoencoder's",
        ),
        above(
            "GAN: sharpness of samples",
            samples["GAN/sharpness"],
            samples["VAE/sharpness"],
            "the VAE's, whose samples are blurred",
        ),
        below(
            "VAE: sharpness of samples",
            samples["VAE/sharpness"],
            samples["data/sharpness"],
            "that of the images",
        ),
        above("GAN: classes among its samples", samples["GAN/classes"], 7, "of 10"),
    ]


CRITERIA = {
    7: dropout,
    8: adversarial,
    24: projector,
    25: compression,
    26: reports,
}
"""By the numbers of the rows."""
