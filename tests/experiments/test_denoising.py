"""The denoising experiment."""

import numpy as np
import pytest

import jaxae
from experiments import (
    denoising,
)
from jaxae.runs import descriptions
from tests.experiments.running import finished


@pytest.mark.slow
def test_denoising(tmp_path):
    results, drawn = finished(
        denoising, tmp_path, network="mlp", hidden=(64,), epochs=60, noise=0.4, batch_size=32
    )
    assert drawn == {"denoised.png", "learning_curves.png"}
    assert jaxae.load_run(tmp_path / "run").use == {"task": "denoise"}
    assert results["corrupted/psnr"] < results["linear/psnr"] < results["test/psnr"]
    assert results["corrupted/psnr"] < results["median_filter/psnr"]
    for name in ("corrupted", "linear", "median_filter", "test"):
        assert results[f"{name}/psnr"] == pytest.approx(-10 * np.log10(results[f"{name}/mse"]))
    # The test images have clipped Gaussian noise with this standard deviation.
    x = np.asarray(jaxae.as_float(jaxae.load("digits").test.images), np.float64)
    rng = np.random.default_rng(0)
    noisy = np.clip(x + 0.4 * rng.normal(size=(20, *x.shape)), 0, 1)
    assert results["corrupted/mse"] == pytest.approx(np.mean((noisy - x) ** 2), rel=0.04)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"hidden": (4, 8), "corrupt": ("masking:0.3", "erase:0.4")},
        {"network": "conv", "hidden": (4,), "corrupt": ("salt_and_pepper:0.2",), "code": 8},
        {"network": "mlp", "corrupt": ("downsample:2",), "likelihood": "bernoulli"},
        {"hidden": (4,), "corrupt": ("gaussian:0.2",), "scale": "learned"},
    ],
    ids=lambda options: options["corrupt"][0],
)
def test_denoising_of_other_corruptions(tmp_path, options):
    results, _ = finished(denoising, tmp_path, epochs=1, **options)
    assert descriptions.corruption(options["corrupt"]) in results["protocol"]
    assert 0 < results["test/mse"] < 0.5


@pytest.mark.slow
def test_denoising_in_colour_and_large(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 48, 40, 3), np.uint8)
    np.save(tmp_path / "a.npy", images)
    c = denoising.Config(
        dataset=str(tmp_path / "a.npy"),
        epochs=1,
        batch_size=8,
        hidden=(4, 4),
        corrupt=("grayscale",),
        run_dir=str(tmp_path / "run"),
    )
    results = denoising.main(c)
    assert (
        "linear/psnr" not in results
    )  # the matrix of linear regression would have 33 million entries
    assert {"corrupted/ssim", "test/ssim"} <= results.keys()
