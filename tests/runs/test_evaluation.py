"""The evaluation of a run: values against numpy, reasons for what is missing, and other data sets."""

import json

import jax
import numpy as np
import pytest

import jaxae
from jaxae.commands import evaluate
from jaxae.data.images import Images
from jaxae.data.loading import Splits
from jaxae.networks import mlp_decoder, mlp_encoder
from jaxae.runs.evaluation import evaluate_run
from jaxae.runs.loading import TrainedRun
from jaxae.runs.scores import likelihood_of, spread

SHAPE = (8, 8, 1)


def run(tmp_path, model, *, use=None, shape=SHAPE, **inputs):
    """A run with random parameters."""
    params = model.init(jax.random.key(0), jax.numpy.zeros((2, *shape)))
    record = {
        "config": {"dataset": "digits", "batch_size": 20},
        "recipe": jaxae.recipe_of(model),
        "inputs": {"shape": list(shape), "dataset": "digits"} | inputs,
        "use": use or {"task": "reconstruct"},
    }
    return TrainedRun(tmp_path, model, params, record)


def vae(likelihood=None, shape=SHAPE):
    likelihood = likelihood or jaxae.likelihoods.bernoulli()
    decoder = mlp_decoder(shape, (5,), outputs=likelihood.outputs)
    return jaxae.vae(mlp_encoder(2 * 3, (5,)), decoder, likelihood, latent_dim=3)


def digits(count=60):
    """Bright and dark images of two classes."""
    random = np.random.default_rng(0)

    def part(n):
        labels = np.arange(n) % 2
        images = random.integers(0, 100, (n, *SHAPE)) + 150 * labels[:, None, None, None]
        return Images(images.astype(np.uint8), labels)

    return Splits(part(count), part(10), part(count))


def test_values_of_a_vae(tmp_path):
    found_run, data = run(tmp_path, vae()), digits()
    table = evaluate_run(found_run, data, samples=4, shown=False)
    x = data.test.images / np.float32(255)
    error = np.square(x - found_run.reconstruct(data.test.images)).sum((1, 2, 3))
    assert table.results["squared_error"] == pytest.approx(error.mean(), rel=1e-5)
    assert table.results["psnr"] == pytest.approx(-10 * np.log10(error.mean() / 64), rel=1e-5)
    assert table.kl_per_dimension.sum() == pytest.approx(table.results["rate"], rel=1e-5)
    active = (found_run.encode(x).var(axis=0) > 0.01).sum()
    assert table.results["active_units"] == active
    # The classes are bright and dark, which a random network shows.
    assert table.results["linear_probe_error_rate"] < 0.1
    assert table.results["neighbour_probe_error_rate"] < 0.1
    assert table.results["accuracy"] > 0.9
    assert table.missing["ssim"] == "the images are smaller than its window of 11 pixels"
    assert "bits_per_dimension" in table.missing
    assert any("cross-entropies" in note for note in table.notes)
    assert table.results["nll"] < table.results["negative_elbo"]


def test_a_plain_autoencoder_has_no_bound_and_says_why(tmp_path):
    model = jaxae.autoencoder(mlp_encoder(3), mlp_decoder(SHAPE))
    data = digits(20)
    data = Splits(*(part._replace(labels=None) for part in data))
    table = evaluate_run(run(tmp_path, model), data, shown=False)
    assert {"loss", "squared_error", "psnr"} <= table.results.keys()
    assert all(
        "no prior" in table.missing[name] for name in ("nll", "kl_per_dimension", "active_units")
    )
    assert table.missing["linear_probe_error_rate"] == "the data have no labels"
    assert table.kl_per_dimension is None


def test_the_error_rate_of_a_model_with_labels_is_that_of_its_codes(tmp_path):
    model = jaxae.supervised(jaxae.autoencoder(mlp_encoder(4), mlp_decoder(SHAPE, (5,))), 2)
    trained, data = run(tmp_path, model), digits()
    found = evaluate_run(trained, data, codes=False, shown=False)
    wrong = trained.encode(data.test.images)[:, :2].argmax(axis=1) != data.test.labels
    assert 0 < wrong.mean() == pytest.approx(found.results["error_rate"])
    for labels in (None, np.where(np.arange(60) < 5, -1, data.test.labels)):
        part = data._replace(test=data.test._replace(labels=labels))
        found = evaluate_run(trained, part, codes=False, shown=False)
        assert not {"loss", "error_rate", "cross_entropy"} & found.results.keys()
        assert found.missing["error_rate"] == "not all images have a label"
        assert found.results["squared_error"] > 0


def test_corrupted_images_are_the_same_each_time(tmp_path):
    corrupt = jaxae.corruptions.gaussian(0.3)
    model = jaxae.denoising(jaxae.autoencoder(mlp_encoder(3), mlp_decoder(SHAPE)), corrupt)
    denoiser, data = run(tmp_path, model, use={"task": "denoise"}), digits(20)
    table = evaluate_run(denoiser, data, shown=False)
    x = data.test.images / np.float32(255)
    key = jax.random.fold_in(jax.random.key(2_718_281_828), 0)
    y = denoiser.reconstruct(np.asarray(corrupt(key, jax.numpy.asarray(x))))
    assert table.results["mse"] == pytest.approx(np.square(x - y).mean(), rel=1e-5)
    assert "corrupted" in table.missing["nll"]


def test_a_model_without_an_encoder_says_so(tmp_path):
    model = jaxae.gan(mlp_decoder(SHAPE, (4,)), mlp_encoder(1, (4,)), latent_dim=2)
    table = evaluate_run(run(tmp_path, model), digits(20), shown=False)
    assert table.results == {}
    assert {"psnr", "nll", "linear_probe_error_rate"} <= table.missing.keys()
    assert set(table.missing.values()) == {"the model has no encoder"}


def test_bits_are_of_discrete_likelihoods(tmp_path):
    model = vae(jaxae.likelihoods.discretized_logistic())
    table = evaluate_run(run(tmp_path, model), digits(20), samples=2, codes=False, shown=False)
    expected = table.results["nll"] / 64 / np.log(2)
    assert table.results["bits_per_dimension"] == pytest.approx(expected)
    assert "kl_per_dimension" not in table.missing


def test_the_likelihood_is_found_inside_of_wrappers():
    model = jaxae.denoising(
        vae(jaxae.likelihoods.discretized_logistic()), jaxae.corruptions.masking(0.5)
    )
    assert likelihood_of(jaxae.recipe_of(model)).levels == 256
    assert likelihood_of({"call": "pca"}) is None


def test_other_data_are_made_to_fit_with_a_note(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (40, 12, 16, 3), np.uint8)
    np.savez(tmp_path / "other.npz", images=colour, labels=np.arange(40) % 2)
    notes = []
    config = evaluate.Config(run=str(tmp_path), dataset=str(tmp_path / "other.npz"))
    data = evaluate.fitting_data(run(tmp_path, vae()), config, notes)
    assert data.test.images.shape[1:] == SHAPE
    assert "cut to squares and resized to 8 x 8" in notes[0]
    assert "converted to grey levels" in notes[1]
    wide = run(tmp_path, vae(shape=(8, 6, 1)), shape=(8, 6, 1))
    with pytest.raises(ValueError, match="not square; resize them first"):
        evaluate.fitting_data(wide, config, [])


def test_the_own_data_are_read_as_in_training(tmp_path):
    dark = np.random.default_rng(0).integers(0, 900, (40, *SHAPE), np.uint16)
    path = tmp_path / "dark.npz"
    np.savez(path, images=dark)
    trained = run(tmp_path, vae(), dataset=str(path), levels=4095)
    for given in (None, str(path)):
        data = evaluate.fitting_data(trained, evaluate.Config(run=str(tmp_path), dataset=given), [])
        assert np.max(jaxae.as_float(data.train.images)) < 0.23
    config = evaluate.Config(run=str(tmp_path), dataset=str(path), levels=1000)
    assert np.max(jaxae.as_float(evaluate.fitting_data(trained, config, []).train.images)) > 0.8


def test_a_measure_of_a_batch_is_not_that_of_all_codes(tmp_path):
    prior = jaxae.priors.standard_normal(3)
    model = jaxae.wasserstein(
        jaxae.autoencoder(mlp_encoder(3), mlp_decoder(SHAPE, (5,))), prior, weight=1.0
    )
    found = evaluate_run(run(tmp_path, model), digits(), codes=False, shown=False)
    assert "mmd" not in found.results
    assert "compares all codes" in found.missing["mmd"]


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluate.flags, "load", lambda config: run(tmp_path, vae()))
    out = tmp_path / "table.json"
    config = evaluate.Config(run=str(tmp_path), samples=2, out=str(out))
    record = evaluate.main(config)
    assert json.loads(out.read_text()) == record
    printed = capsys.readouterr()
    assert "-log p(x), estimated with 2 importance samples" in printed.out
    assert "KL divergence by latent dimension" in printed.out
    assert "missing: SSIM" in printed.out
    with pytest.raises(ValueError, match="exists already; give another --out, or --overwrite"):
        evaluate.main(config)


def test_spread():
    assert spread(100, 3).tolist() == [0, 49, 99]
    assert spread(2, 10).tolist() == [0, 1]
