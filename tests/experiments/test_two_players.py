"""The adversarial experiments: small runs, the files they write, and the flags they reject."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from experiments import adversarial, gan, semi_supervised
from experiments.shared import datasets, running
from jaxae.runs.command import command
from tests.experiments.running import finished, lines, refused

SMALL = {"epochs": 2, "hidden": (16,)}


def test_adversarial(tmp_path):
    results, figures = finished(adversarial, tmp_path, **SMALL)
    assert figures == {
        "codes.png",
        "dimensions.png",
        "plane.png",
        "reconstructions.png",
        "samples.png",
    }
    for name in ("AE", "AAE"):
        assert {f"{name}/mmd", f"{name}/squared_error", f"{name}/largest_ks"} <= results.keys()
        assert 0 < results[f"{name}/mmd_p_value"] <= 1
        assert 0 <= results[f"{name}/neighbour_probe_error_rate"] <= 1
    (line, *_) = lines(tmp_path / "run" / "AAE")
    assert {"train/discriminator_loss", "train/discriminator_generator_loss"} <= line.keys()
    assert not any(name.startswith("validation/") for name in line)
    assert "train/mmd" in line


def test_without_a_kernel_there_is_no_discrepancy():
    config = adversarial.Config(dataset="digits", kernel=0.0, **SMALL)
    prior = adversarial.make_prior(config, 10)
    model, _ = adversarial.build(config, datasets.load(config), prior)["AAE"]
    assert [penalty.name for penalty in model.penalties] == ["discriminator"]


@pytest.mark.parametrize("prior", ["petals", "swiss_roll"])
def test_priors_have_a_part_for_each_class(prior):
    config = adversarial.Config(prior=prior)
    assert adversarial.make_prior(config, 7).classes == 10
    config = adversarial.Config(prior=prior, labels=20)
    assert adversarial.make_prior(config, 7).classes == 7


@pytest.mark.slow
def test_adversarial_with_labels(tmp_path, monkeypatch):
    given = {}

    def fit(config, run, model, data, **options):
        given[run.directory.name] = options["train"]
        return base_fit(config, run, model, data, **options)

    base_fit = running.fit
    monkeypatch.setattr(running, "fit", fit)
    _, figures = finished(adversarial, tmp_path, prior="petals", labels=100, **SMALL)
    assert "codes.png" in figures
    assert "plane.png" not in figures
    assert given["AE"] is None
    labels = np.asarray(given["AAE"].label)
    assert (labels >= 0).sum() == 100
    assert np.bincount(labels[labels >= 0]).tolist() == [10] * 10


@pytest.mark.slow
def test_adversarial_in_more_dimensions(tmp_path):
    results, figures = finished(adversarial, tmp_path, code=9, r1=0.1, **SMALL)
    assert figures == {"dimensions.png", "reconstructions.png", "samples.png"}


@pytest.mark.slow
def test_gan(tmp_path):
    results, figures = finished(
        gan, tmp_path, network="mlp", epochs=1, hidden=(16,), code=3, components=2
    )
    assert figures == {"samples.png", "neighbours.png", "reconstructions.png"}
    for name in ("VAE", "GAN", "VAE-GAN", "WAE", "AE", "data"):
        wanted = ("fid_digits_cnn", "kid_digits_cnn", "precision", "recall", "sharpness", "classes")
        assert {f"{name}/{key}" for key in wanted} <= results.keys()
    assert "GAN/squared_error" not in results
    # Training images are nearer to test images than anything generated after one epoch.
    others = ("VAE", "GAN", "VAE-GAN", "WAE", "AE")
    assert results["data/fid_digits_cnn"] < min(results[f"{n}/fid_digits_cnn"] for n in others)
    assert results["data/classes"] == 10
    assert "data/nearest_training_image" not in results
    (line, *_) = lines(tmp_path / "run" / "GAN")
    assert "train/discriminator_r1_penalty" in line


@pytest.mark.slow
def test_gan_without_labels_is_judged_by_pixels(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (900, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    run = tmp_path / "run"
    results = gan.main(
        gan.Config(
            dataset=str(tmp_path / "images.npy"),
            run_dir=str(run),
            network="mlp",
            epochs=1,
            hidden=(8,),
            code=2,
            components=1,
        )
    )
    assert "in pixels" in results["protocol"]
    assert "VAE/precision" in results
    assert not any("fid" in name for name in results)


def test_semi_supervised(tmp_path, monkeypatch):
    results, figures = finished(
        semi_supervised, tmp_path, network="mlp", labels=50, shift=1, code=2, **SMALL
    )
    # The same flags on the command line find the finished run, and nothing is written.
    before = (tmp_path / "run" / "results.json").stat()
    flags = "--dataset digits --network mlp --labels 50 --shift 1 --code 2 --epochs 2 --hidden 16"
    monkeypatch.setattr(sys, "argv", ["", *flags.split(), "--run-dir", str(tmp_path / "run")])
    command(semi_supervised.main, semi_supervised.Config, semi_supervised.__doc__)
    assert (tmp_path / "run" / "results.json").stat() == before
    assert "styles.png" in figures
    assert 0 <= results["test/error_rate"] <= 1
    assert 0 <= results["supervised/error_rate"] <= 1


def test_the_fraction_of_labelled_images():
    images = np.arange(100)[:, None, None, None]
    known = np.full(100, -1, np.int32)
    known[[3, 50, 77]] = [0, 1, 2]
    repeated, labels = semi_supervised.repeated(images, known, 0.25)
    assert np.mean(labels >= 0) == pytest.approx(0.25, abs=0.02)
    assert (labels[:100] == -1).all()
    # Each labelled image occurs, even if there are more than the fraction.
    _, many = semi_supervised.repeated(images, np.arange(100) % 3, 0.05)
    assert (many[100:] >= 0).sum() == 100
    for index, label in ((3, 0), (50, 1), (77, 2)):
        assert (labels[100:][repeated[100:, 0, 0, 0] == index] == label).all()


def test_shifted_images_are_still_binarised():
    transform = semi_supervised.shifted(1, jaxae.data.binarize)
    x, key = jnp.full((4, 8, 8, 1), 0.5), jax.random.key(0)
    assert set(np.unique(transform(key, x))) == {0.0, 1.0}
    assert set(np.unique(semi_supervised.shifted(1, None)(key, x))) == {0.0, 0.5}


def test_known_labels_are_balanced_and_true():
    labels = np.random.default_rng(0).integers(0, 4, 200)
    data = datasets.Data(None, None, None, None, 1, False, "", (labels, None, None))
    known = datasets.known_labels(data, 40, seed=3)
    assert np.bincount(known[known >= 0]).tolist() == [10] * 4
    assert (known[known >= 0] == labels[known >= 0]).all()
    assert not np.array_equal(known, datasets.known_labels(data, 40, seed=4))


@pytest.mark.slow
def test_the_log_notes_a_discriminator_that_has_won(tmp_path, capfd):
    config = adversarial.Config(
        dataset="digits",
        run_dir=str(tmp_path),
        epochs=12,
        hidden=(16,),
        code=16,
        learning_rate=1e-9,
        discriminator_rate=1e-2,
        ema=0.0,
    )
    adversarial.main(config)
    notes = [record.get("note") for record in lines(tmp_path / "AAE")]
    assert any(note and "so the generator hardly learns" in note for note in notes)
    errors = capfd.readouterr().err
    assert errors.count("note: ") == 1
    assert not any("note" in record for record in lines(tmp_path / "AE"))


@pytest.mark.parametrize(
    ("experiment", "flags", "message"),
    [
        (adversarial, ["--prior", "petals", "--code", "3"], "--code 2"),
        (adversarial, ["--labels", "10"], "prior with classes"),
        (adversarial, ["--labels", "100000", "--prior", "petals"], "training image"),
        (adversarial, ["--labels", "3", "--prior", "petals"], "--labels must be between 10"),
        (adversarial, ["--patience", "3"], "--patience needs validation images"),
        (gan, ["--binarize"], "--binarize"),
        (gan, ["--components", "200"], "--components 200"),
        (gan, ["--epochs", "1", "--critic-steps", "50"], "--critic-steps 50"),
        (adversarial, ["--weight", "0"], "--weight must be positive"),
        (adversarial, ["--kernel", "-1"], "--kernel must not be negative"),
        (adversarial, ["--ema", "1"], "--ema must be in [0, 1)"),
        (gan, ["--likelihood", "laplace"], "sigmoid"),
        (gan, ["--critic-steps", "0"], "--critic-steps must be positive"),
        (gan, ["--inception", "nowhere.npz"], "--inception"),
        (gan, ["--network", "unet"], "no bottleneck"),
        (semi_supervised, ["--labels", "5"], "--labels must be between 10"),
        (semi_supervised, ["--labelled-part", "1"], "--labelled-part"),
        (semi_supervised, ["--shift", "-1"], "--shift"),
    ],
)
def test_bad_flags(tmp_path, experiment, flags, message, monkeypatch, capsys):
    given = ["--dataset", "digits", "--run-dir", tmp_path / "run", *flags]
    assert message in refused(experiment, *given, monkeypatch=monkeypatch, capsys=capsys)
    assert not (tmp_path / "run").exists()
