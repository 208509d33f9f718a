"""The experiments with two players: small runs, what they write, and what they refuse."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from experiments import adversarial, gan, semi_supervised
from experiments.shared import datasets, running
from experiments.shared.judge import make_fidelity
from tests.experiments.running import finished, lines, refused

SMALL = {"epochs": 2, "hidden": (16,)}
from jaxae.runs.command import command


def test_adversarial_fills_a_folder(tmp_path):
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
        assert 0 <= results[f"{name}/neighbour_error"] <= 1
    (line, *_) = lines(tmp_path / "run" / "AAE")
    assert {"train/discriminator", "train/discriminator_fooled"} <= line.keys()
    assert not any(name.startswith("validation/") for name in line)
    # What the kernel asks for is not asked for without it.
    assert "train/mmd" in line
    game, _ = finished(adversarial, tmp_path / "game", kernel=0.0, **SMALL)
    (line, *_) = lines(tmp_path / "game" / "run" / "AAE")
    assert "train/mmd" not in line
    assert game["AE/mmd"] == results["AE/mmd"]
    assert game["AAE/mmd"] != results["AAE/mmd"]


@pytest.mark.parametrize("prior", ["petals", "swiss_roll"])
def test_adversarial_with_labels(tmp_path, prior, monkeypatch):
    targets = {}

    def fit(config, run, model, data, **options):
        targets[run.directory.name] = options["targets"]
        return base_fit(config, run, model, data, **options)

    base_fit = running.fit
    monkeypatch.setattr(running, "fit", fit)
    _, figures = finished(adversarial, tmp_path, prior=prior, labels=100, **SMALL)
    assert "codes.png" in figures
    assert "plane.png" not in figures
    assert targets["AE"] is None
    labels, _ = targets["AAE"]
    assert (labels >= 0).sum() == 100
    assert np.bincount(labels[labels >= 0]).tolist() == [10] * 10


def test_adversarial_in_more_dimensions(tmp_path):
    results, figures = finished(adversarial, tmp_path, code=9, r1=0.1, **SMALL)
    assert figures == {"dimensions.png", "reconstructions.png", "samples.png"}


def test_codes_that_are_the_prior_are_found_to_be_it():
    """The measures themselves: draws of the prior pass, and others do not."""
    measure = adversarial.yardstick(jaxae.priors.standard_normal(2), 500)
    random = np.random.default_rng(0)
    same = measure(random.normal(size=(500, 2)).astype(np.float32))
    assert same["mmd_p_value"] > 0.02
    assert same["largest_ks"] < 0.1
    assert same["largest_ks_p_value"] > 0.02
    narrow = measure(0.7 * random.normal(size=(500, 2)).astype(np.float32))
    for name in ("mmd", "largest_ks"):
        assert narrow[name] > narrow[f"{name}_of_the_prior_95"] > 0
        assert narrow[f"{name}_p_value"] < 0.06
    assert narrow["largest_ks"] > same["largest_ks"]


def test_gan_fills_a_folder(tmp_path):
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
    assert "train/discriminator_slope" in line


def test_gan_without_labels_judges_by_pixels(tmp_path):
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


def test_semi_supervised_fills_a_folder(tmp_path, monkeypatch):
    results, figures = finished(
        semi_supervised, tmp_path, network="mlp", labels=50, shift=1, code=2, **SMALL
    )
    # The command that says the same finds the run finished: nothing is written again.
    before = (tmp_path / "run" / "results.json").stat()
    flags = "--dataset digits --network mlp --labels 50 --shift 1 --code 2 --epochs 2 --hidden 16"
    monkeypatch.setattr(sys, "argv", ["", *flags.split(), "--run-dir", str(tmp_path / "run")])
    command(semi_supervised.main, semi_supervised.Config, semi_supervised.__doc__)
    assert (tmp_path / "run" / "results.json").stat() == before
    assert "styles.png" in figures
    assert 0 <= results["test/error"] <= 1
    assert 0 <= results["supervised/error"] <= 1


def test_labelled_images_are_the_part_that_was_asked_for():
    images = np.arange(100)[:, None, None, None]
    known = np.full(100, -1, np.int32)
    known[[3, 50, 77]] = [0, 1, 2]
    repeated, targets = semi_supervised.repeated(images, known, 0.25)
    assert np.mean(targets >= 0) == pytest.approx(0.25, abs=0.02)
    assert (targets[:100] == -1).all()
    # Of more labels than fit every one still comes.
    _, many = semi_supervised.repeated(images, np.arange(100) % 3, 0.05)
    assert (many[100:] >= 0).sum() == 100
    for index, label in ((3, 0), (50, 1), (77, 2)):
        assert (targets[100:][repeated[100:, 0, 0, 0] == index] == label).all()


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


def test_the_log_says_who_has_won(tmp_path, capfd):
    config = adversarial.Config(
        dataset="digits",
        run_dir=str(tmp_path),
        epochs=12,
        hidden=(16,),
        code=16,
        learning_rate=1e-9,
        discriminator_rate=1e-2,
        average=0.0,
    )
    adversarial.main(config)
    notes = [record.get("note") for record in lines(tmp_path / "AAE")]
    assert any(note and "the discriminator has won" in note for note in notes)
    said = capfd.readouterr().err
    assert said.count("note: ") == 1
    assert not any("note" in record for record in lines(tmp_path / "AE"))


def test_copies_of_training_images_are_told():
    random = np.random.default_rng(0)
    train, test, new = (random.random((n, 6, 6, 1)).astype(np.float32) for n in (200, 80, 80))
    fidelity = make_fidelity(None, test, train, dataset="x")
    copied, fresh = fidelity(train[:80]), fidelity(new)
    assert copied["nearest_training_image"] < 0.01
    assert fresh["nearest_training_image"] == pytest.approx(1, abs=0.1)
    blurred = np.full_like(new, 0.5)
    assert fidelity(blurred)["sharpness"] == 0
    assert "nearest_training_image" not in fidelity(new, copies=False)


@pytest.mark.parametrize(
    ("experiment", "flags", "message"),
    [
        (adversarial, ["--prior", "petals", "--code", "3"], "--code 2"),
        (adversarial, ["--labels", "10"], "prior with classes"),
        (adversarial, ["--labels", "100000", "--prior", "petals"], "training images"),
        (adversarial, ["--labels", "3", "--prior", "petals"], "--labels must be from 10"),
        (adversarial, ["--patience", "3"], "--patience needs validation images"),
        (gan, ["--binarize"], "--binarize"),
        (gan, ["--components", "200"], "--components 200"),
        (gan, ["--epochs", "1", "--critic-steps", "50"], "--critic-steps 50"),
        (adversarial, ["--weight", "0"], "--weight must be positive"),
        (adversarial, ["--kernel", "-1"], "--kernel must not be negative"),
        (adversarial, ["--average", "1"], "--average must be in [0, 1)"),
        (gan, ["--likelihood", "laplace"], "sigmoid"),
        (gan, ["--critic-steps", "0"], "--critic-steps must be positive"),
        (gan, ["--inception", "nowhere.npz"], "--inception"),
        (gan, ["--network", "unet"], "no bottleneck"),
        (semi_supervised, ["--labels", "5"], "--labels must be from 10"),
        (semi_supervised, ["--labelled-part", "1"], "--labelled-part"),
        (semi_supervised, ["--shift", "-1"], "--shift"),
    ],
)
def test_a_wrong_flag_is_a_line_and_exit_code_2(
    tmp_path, experiment, flags, message, monkeypatch, capsys
):
    given = ["--dataset", "digits", "--run-dir", tmp_path / "run", *flags]
    assert message in refused(experiment, *given, monkeypatch=monkeypatch, capsys=capsys)
    assert not (tmp_path / "run").exists()
