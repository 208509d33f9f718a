"""What commands print and what results.json contains, also for data from which nothing can be learned."""

import json
import warnings

import numpy as np
import pytest

from experiments import (
    adversarial,
    autoencoder,
    clustering,
    contractive,
    denoising,
    gan,
    inpainting,
    latent_space,
    linear,
)
from experiments.shared import running
from experiments.shared.findings import findings
from experiments.shared.tables import print_results
from jaxae.runs.quantities import QUANTITIES, quantity
from jaxae.runs.tables import number

SMALL = {
    autoencoder: {"hidden": (4,), "code": 2},
    linear: {"code": 2},
    denoising: {"network": "mlp", "hidden": (4,), "code": 2},
    contractive: {"code": 4},
    latent_space: {"hidden": (4,), "grid": 2},
    clustering: {"hidden": (4,), "code": 2, "seeds": 1},
    adversarial: {"hidden": (4,)},
    gan: {"network": "mlp", "hidden": (4,), "code": 2, "components": 2},
    inpainting: {"network": "mlp", "hidden": (4,), "image_size": None},
}
IMAGES = {latent_space: 300, adversarial: 300, gan: 700}
"""The number of images, where measures need many test images."""

DATA = {
    "black": lambda shape: np.zeros(shape, np.uint8),
    "grey": lambda shape: np.full(shape, 77, np.uint8),
    "one image": lambda shape: np.repeat(noise((1, *shape[1:])), shape[0], axis=0),
    "two images": lambda shape: noise((2, *shape[1:]))[np.arange(shape[0]) % 2],
}


def noise(shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def name(module):
    return module.__name__.rpartition(".")[2]


def train(module, tmp_path, images):
    """The results of one epoch, and the file that holds them."""
    path = tmp_path / "images.npz"
    np.savez(path, images=images, labels=np.arange(len(images)) % 3)
    run = tmp_path / "run"
    config = module.Config(dataset=str(path), epochs=1, run_dir=str(run), **SMALL[module])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # a division by zero in NumPy
        return config, module.main(config), run / "results.json"


def refuse(token):
    raise ValueError(f"{token} is not JSON")


@pytest.mark.parametrize(
    ("module", "data"),
    [
        *((linear, data) for data in ("black", "grey", "two images")),
        (autoencoder, "one image"),
        *(
            pytest.param(module, "black", marks=pytest.mark.slow)
            for module in SMALL
            if module not in (linear, autoencoder)
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else name(value),
)
def test_degenerate_data_do_not_stop_a_run(module, data, tmp_path, capsys):
    images = DATA[data]((IMAGES.get(module, 60), 8, 8, 1))
    config, results, path = train(module, tmp_path, images)
    assert json.loads(path.read_text(), parse_constant=refuse) == results
    printed = capsys.readouterr()
    assert "undefined" in printed.out or None not in results.values()
    assert module.main(config) == results  # a second call reports the same
    again = capsys.readouterr().out
    assert again == printed.out
    if module is linear and data != "two images":
        assert results["pca/explained_variance"] is None
        assert results["tied/error_over_pca"] is results["untied/largest_angle"] is None


def test_the_table_comes_first_and_is_short(tmp_path, capsys):
    _, results, path = train(autoencoder, tmp_path, noise((60, 8, 8, 1)))
    lines = capsys.readouterr().out.splitlines()
    table = [line for line in lines if line.startswith("│")]
    assert lines[0].startswith("Autoencoder on images.npz")
    assert len(table) == 4
    assert f"{results['test/psnr']:.4g}" in "".join(table)
    assert any("dB" in line for line in table)
    assert str(path.parent) in lines[-1]
    assert f"all {len(results)} results" in lines[-1]


def test_the_error_of_the_mean_image():
    x = noise((1203, 4, 3, 2))
    expected = np.square(x / 255 - (x / 255).mean(axis=0)).sum(axis=(1, 2, 3)).mean()
    assert running.error_of_the_mean_image(x) == pytest.approx(expected, rel=1e-6)
    assert running.error_of_the_mean_image(np.full((7, 4, 3, 1), 9, np.uint8)) == 0


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ({"test/rate": 1e-4}, "collapsed to the prior"),
        ({"VAE/rate": 1e-4}, "VAE: the posterior has collapsed"),
        (
            {"test/squared_error": 50.0, "mean_image/squared_error": 50.1},
            "no better than the mean image",
        ),
        (
            {"rate_0.5/squared_error": 60.0, "mean_image/squared_error": 50.0},
            "rate_0.5: reconstructions are no better",
        ),
        ({"mean_image/squared_error": 0.0}, "all test images are equal"),
        ({"GAN/classes": 3, "data/classes": 10}, "GAN: samples show 3 of 10 classes"),
        ({"judge/error_rate": 0.7}, "error rate of 0.7"),
        ({"test/psnr": 20.0, "bicubic/psnr": 21.0, "grey/psnr": 9.0}, "worse than bicubic"),
        ({"a/b": None, "a/c": None, "a/d": None, "a/e": None}, "a/b, a/c, a/d and 1 more"),
    ],
)
def test_what_failed_is_said(results, said):
    assert any(said in line for line in findings(results))


def test_what_succeeded_is_not_said():
    good = {
        "test/rate": 25.0,
        "test/squared_error": 7.0,
        "mean_image/squared_error": 52.0,
        "VAE/classes": 10,
        "data/classes": 10,
        "test/psnr": 22.0,
        "bicubic/psnr": 21.0,
        "judge/error_rate": 0.01,
        "protocol": "test",
        "best_epoch": 3,
    }
    assert findings(good) == []


def test_tables_have_words_and_units(capsys):
    results = {"A/mse": 0.01, "A/psnr": 20.0, "A/error_rate": 0.1, "A/error_rate_sd": 0.02}
    results |= {"B/mse": None, "B/error_rate": 0.2}
    print_results("Two", results, ("mse", "psnr", "ssim", "error_rate"), {"A": "one", "B": "two"})
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("│")
    ]
    assert rows == [
        ["mean squared error of a pixel value", "0.01", "undefined"],
        ["PSNR, dB", "20", "-"],
        ["error rate (fraction of images)", "0.1 (0.02)", "0.2"],
    ]
    assert number(60_000) == "60,000"


def test_readme_lists_every_quantity():
    readme = (running.Path(__file__).parents[2] / "experiments" / "README.md").read_text()
    documented = {"squared_error", "squared_error_unclipped", "mse", "psnr", "nll", "error_rate"}
    documented |= {"loss", "distortion", "rate", "negative_elbo", "bits_per_dimension"}
    assert documented <= QUANTITIES.keys()
    words = [found.words for found in QUANTITIES.values()]
    assert len(set(words)) == len(words)  # rows of a table are told apart by their words
    for measure in documented:
        assert f"`{measure}`" in readme
        assert quantity(measure).words
