"""The experiments on latent spaces: clustering, faces, and the comparison of five models."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxae
from experiments import clustering, faces, latent_space
from experiments.shared import attributes, datasets, latent_figures, running
from jaxae.runs import inference
from jaxae.runs.training_data import augmented
from tests.experiments.running import finished, refused

ALWAYS = {
    "codes.png",
    "posteriors.png",
    "manifold.png",
    "interpolation.png",
    "random_codes.png",
    "kl_per_dimension.png",
    "aggregated_posterior.png",
}


def portraits(path, n=120, seed=0):
    """Images of a bar and a dot, each there or not, with these two as attributes."""
    random = np.random.default_rng(seed)
    bar, dot, pair = random.random((3, n)) < 0.5
    images = random.integers(0, 60, (n, 12, 12, 3)).astype(np.uint8)
    images[bar, 2:4] += 150
    images[dot, 8:11, 8:11, 0] += 150
    attributes = np.stack([bar, dot, pair], axis=1)
    np.savez(path, images=images, attributes=attributes, attribute_names=["Bar", "Dot", "Coin"])
    return str(path)


@pytest.mark.slow
def test_a_report_in_two_dimensions(tmp_path):
    results, drawn = finished(
        latent_space, tmp_path, epochs=2, hidden=(16,), grid=3, projector=True
    )
    assert drawn == ALWAYS | {"label_efficiency.png"}
    for name in ("AE", "DAE", "CAE", "VAE", "VAE beta 0"):
        for key in ("precision", "recall", "nearest", "confidence", "entropy"):
            assert results[f"{name}/prior_{key}"] >= 0
            assert results[f"{name}/fitted_{key}"] >= 0
        assert 1 <= results[f"{name}/jump"] <= latent_space.STEPS
        largest = max(results[f"{name}/lipschitz_{where}"] for where in ("on", "off"))
        assert results[f"{name}/lipschitz_largest"] >= largest > 0
    assert results["VAE/rate"] >= 0
    assert "dimensions" in results["VAE/collapse"]
    assert 0 < results["AE/linear_probe_error_rate_100"] < 1
    for name in ("AE", "VAE"):
        folder = tmp_path / "run" / "projector" / name
        vectors = np.loadtxt(folder / "vectors.tsv")
        assert vectors.shape == (355, 2)
        assert len((folder / "metadata.tsv").read_text().splitlines()) == 356
        with Image.open(folder / "sprite.png") as sprite:
            assert sprite.size == (19 * 8, 19 * 8)


@pytest.mark.slow
def test_a_report_in_more_dimensions_shows_principal_components(tmp_path, monkeypatch):
    titles = []
    for module, name in ((latent_figures.scatters, "scatter"), (latent_figures.figures, "panels")):
        draw = getattr(module, name)

        def spy(*args, draw=draw, **options):
            titles.append((options["title"], options.get("names")))
            draw(*args, **options)

        monkeypatch.setattr(module, name, spy)
    _, drawn = finished(latent_space, tmp_path, code=5, epochs=1, hidden=(16,), grid=2)
    assert drawn == ALWAYS | {"label_efficiency.png", "traversals.png"}
    scatter = titles[0]
    assert "principal components of 5 latent dimensions" in scatter[0]
    assert scatter[1] == ("first principal component", "second principal component")
    assert "principal components of 5 latent dimensions" in titles[1][0]


def test_drawn_codes():
    z = 3 + jax.random.normal(jax.random.key(0), (4000, 4)) @ jnp.diag(jnp.array([1.0, 2, 1, 0.1]))
    drawn = latent_space.drawn_codes(z, 20_000)
    np.testing.assert_allclose(drawn["fitted"].mean(0), z.mean(0), atol=0.06)
    np.testing.assert_allclose(jnp.cov(drawn["fitted"].T), jnp.cov(z.T), atol=0.15)
    np.testing.assert_allclose(drawn["prior"].mean(0), 0, atol=0.03)
    np.testing.assert_allclose(jnp.cov(drawn["prior"].T), jnp.eye(4), atol=0.05)


def test_each_flag_changes_its_own_model():
    c = latent_space.Config(dataset="digits", hidden=(8,), code=3, epochs=1)
    data = datasets.load(c)
    x = jaxae.as_float(data.train[:8])

    def losses(config):
        found = {}
        for name, model in latent_space.models(config, data).items():
            params = model.init(jax.random.key(0), x)
            found[name] = float(model.loss(params, jax.random.key(1), x).loss.mean())
        return found

    plain = losses(c)
    for flag, value, changed in (
        ("noise", 0.9, "DAE"),
        ("contract", 5.0, "CAE"),
        ("beta", 7.0, "VAE"),
    ):
        other = losses(dataclasses.replace(c, **{flag: value}))
        assert [name for name in plain if plain[name] != other[name]] == [changed]
    assert plain["VAE"] != plain["VAE beta 0"]


@pytest.mark.slow
def test_a_report_without_labels_and_of_copies(tmp_path):
    """Of six images that are repeated, so that distances between real images have no scale."""
    images = np.repeat(np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8), 40, axis=0)
    np.save(tmp_path / "copies.npy", images)
    run = tmp_path / "run"
    results = latent_space.main(
        latent_space.Config(
            dataset=str(tmp_path / "copies.npy"), epochs=1, hidden=(8,), grid=2, run_dir=str(run)
        )
    )
    assert {path.name for path in (run / "figures").iterdir()} == ALWAYS
    assert not any("confidence" in key or "probe" in key for key in results)
    assert not any("nearest" in key for key in results)
    assert all(np.isfinite(v) for v in results.values() if isinstance(v, float))


def test_the_transformation_of_training_images():
    x = jax.random.uniform(jax.random.key(0), (5, 14, 14, 1))
    c = clustering.Config(rotation=3.0, stretch=0.2, shear=0.4, shift=0.1)
    found = clustering.augmentation(c, 14)(jax.random.key(1), x)
    expected = jaxae.augmentations.random_affine(rotation=3.0, scale=0.2, shear=0.4, shift=1.4)
    np.testing.assert_array_equal(found, expected(jax.random.key(1), x))
    still = clustering.Config(rotation=0.0, stretch=0.0, shear=0.0, shift=0.0)
    assert clustering.augmentation(still, 14) is None


def test_images_are_mirrored_and_binarised():
    x = jax.random.uniform(jax.random.key(0), (200, 4, 4, 1))
    both = augmented(("flip",), jaxae.data.binarize)(jax.random.key(1), x)
    assert set(np.unique(both)) == {0.0, 1.0}
    mirrored = augmented(("flip",), None)(jax.random.key(1), x)
    same = (mirrored == x).all((1, 2, 3))
    assert 0.3 < same.mean() < 0.7


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["plain", "best"])
def test_clustering(tmp_path, preset):
    options = {"epochs": 10, "hidden": (32,), "code": 4, "seeds": 2}
    if preset == "best":
        options["rounds"] = 2
    results, drawn = finished(clustering, tmp_path, preset=preset, **options)
    assert drawn == {"confusion.png", "clusters.png"}
    for kind in ("test/accuracy", "all/accuracy", "all/nmi", "all/ari", "test/purity"):
        assert 0.1 < results[kind] <= 1
        assert f"{kind}_sd" in results
    assert results["pixels/all/accuracy"] > 0.6  # the digits of scikit-learn are easy
    assert ("plain/test/accuracy" in results) == (preset == "best")
    assert "no network is trained on test images" in results["protocol"]


@pytest.mark.parametrize("clusters", [3, 25])
def test_more_and_fewer_clusters_than_classes(tmp_path, clusters):
    results, _ = finished(
        clustering, tmp_path, clusters=clusters, epochs=1, hidden=(16,), code=4, seeds=1
    )
    if clusters == 3:
        assert results["all/accuracy"] <= 0.31
    else:
        assert results["all/purity"] > results["all/accuracy"]
    assert "test/accuracy_sd" not in results


@pytest.mark.slow
def test_training_does_not_use_labels(tmp_path):
    """With shuffled labels the clusters are the same."""
    digits = jaxae.load("digits").train.take(np.arange(300))
    shuffled = np.random.default_rng(0).permutation(digits.labels)
    params = []
    for name, labels in (("right", digits.labels), ("wrong", shuffled)):
        # All images are training images, so that the splits do not depend on the labels.
        np.savez(tmp_path / f"{name}.npz", images=digits.images, labels=labels)
        c = clustering.Config(
            dataset=str(tmp_path / f"{name}.npz"), epochs=2, rounds=2, hidden=(16,), code=4, seeds=1,
            preset="best", run_dir=str(tmp_path / name),
        )  # fmt: skip
        data = datasets.load(c, hold_out=False)
        data = data._replace(train=digits.images, labels=(labels, None, data.labels[2]))
        model = clustering.build(c, data)
        fitted = running.fit(c, running.open_run(c, data, "clustering"), model, data)
        codes = inference.encode(model, fitted.params, data.train)
        start = jaxae.analysis.spectral_clusters(codes, 10)
        run = running.open_run(c, data, "clustering").part("0")
        params.append(clustering.refine(c, run, model, fitted.params, start, data).train)
    np.testing.assert_array_equal(params[0], params[1])


def test_clusters_are_matched_to_classes_on_training_images():
    """The classes of the test images are swapped, so that a match on these would be right."""
    train, test = np.array([0, 0, 1, 1]), np.array([0, 1, 1])
    found = clustering.Found(train, test, np.concatenate([train, test]), np.zeros(3))
    labels = (np.array([0, 0, 1, 1]), None, np.array([1, 0, 0]))
    data = datasets.Data(*[np.zeros((4, 1, 1, 1))] * 3, None, 1, False, "", labels)
    scores = clustering.score(found, data)
    assert scores["test/accuracy"] == 0
    assert scores["all/accuracy"] == pytest.approx(4 / 7)
    # A cluster without training images has no class.
    assert clustering.assign(np.array([1, 0]), np.array([0, 1, 2])).tolist() == [1, 0, -1]


def test_faces(tmp_path, monkeypatch):
    """The direction of the bar adds the bar and leaves the dot."""
    monkeypatch.setattr(faces, "JUDGED_AT", 1.0)  # the difference between no bar and a bar
    path = portraits(tmp_path / "faces.npz", n=500)
    run = tmp_path / "run"
    c = faces.Config(
        dataset=path,
        image_size=None,
        code=6,
        network="mlp",
        hidden=(64,),
        epochs=60,
        flip=False,
        attributes=("Bar", "Dot-Coin"),
        run_dir=str(run),
    )
    results = faces.main(c)
    assert json.loads((run / "results.json").read_text()) == results
    assert {path.name for path in (run / "figures").iterdir()} == {
        "reconstructions.png",
        "samples.png",
        "interpolation.png",
        "learning_curves.png",
        "Bar.png",
        "Dot-Coin.png",
    }
    assert results["Bar/probability_before"] < 0.2
    assert results["Bar/probability_after"] > 0.6
    assert results["Bar/others"] < 0.3
    assert results["Bar/judge_auc"] > 0.9


def test_the_directions_of_different_methods_differ(tmp_path):
    path = portraits(tmp_path / "faces.npz")
    codes = jax.random.normal(jax.random.key(0), (96 + 1, 4))
    found = set()
    for kind in ("partial", "means", "logistic"):
        c = faces.Config(
            dataset=path, image_size=None, direction=kind, attributes=("Bar", "Bar-Dot")
        )
        data = datasets.load(c)
        wanted = attributes.wanted(c.dataset, c.attributes, data)
        z = jnp.tile(codes, (3, 1))[: len(data.train)]
        bar, difference = (attributes.find(kind, z, data, terms) for terms in wanted.values())
        dot = attributes.find(kind, z, data, [("Dot", 1.0)])
        np.testing.assert_allclose(difference, bar - dot, atol=1e-5)
        found.add(float(bar[0]))
    assert len(found) == 3
    assert set(attributes.without(data, [("Bar", 1.0), ("Dot", -1.0)])) == set(
        np.flatnonzero(~data.attributes[2]["Bar"] & data.attributes[2]["Dot"])
    )


def test_faces_without_attributes(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    np.save(tmp_path / "a.npy", images)
    c = faces.Config(
        dataset=str(tmp_path / "a.npy"),
        image_size=None,
        hidden=(4,),
        code=3,
        epochs=1,
        run_dir=str(tmp_path / "run"),
    )
    results = faces.main(c)
    assert "none known" in results["protocol"]
    with pytest.raises(ValueError, match="has no attributes"):
        faces.main(c.__class__(**{**c.__dict__, "attributes": ("Smiling",)}))


BAD = {
    latent_space: {
        "a line": ["--code", "1"],
        "no grid": ["--grid", "1"],
        "contraction": ["--contract", "-1"],
        "noise": ["--noise", "-1"],
        "beta": ["--beta", "-1"],
        "no epochs": ["--epochs", "0"],
        "network": ["--network", "unet"],
    },
    clustering: {
        "one cluster": ["--clusters", "1"],
        "many clusters": ["--clusters", "200"],
        "no seeds": ["--seeds", "0"],
        "no rounds": ["--preset", "best", "--rounds", "0"],
        "no round": ["--preset", "best", "--round-epochs", "0"],
        "rounds of nothing": ["--rounds", "3"],
        "rotation": ["--rotation", "-3"],
        "preset": ["--preset", "better"],
        "code": ["--code", "0"],
        "weight": ["--preset", "best", "--reconstruction", "-1"],
    },
    faces: {
        "no attributes": ["--attributes", "Smiling"],
        "beta": ["--beta", "-1"],
        "direction": ["--direction", "up"],
    },
}


@pytest.mark.parametrize(
    ("module", "arguments"),
    [(m, arguments) for m, bad in BAD.items() for arguments in bad.values()],
)
def test_bad_flags(module, arguments, capsys, monkeypatch, tmp_path):
    run = tmp_path / "run"
    given = ["--dataset", "digits", *arguments, "--run-dir", run]
    refused(module, *given, monkeypatch=monkeypatch, capsys=capsys)
    assert not run.exists()


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("Barr", "no attribute 'Barr'; did you mean Bar"),
        ("A-B-C", "a direction is A or A-B"),
        ("Bar-Bar", "the difference of an attribute and itself"),
    ],
)
def test_bad_attributes(tmp_path, attribute, message):
    path = portraits(tmp_path / "faces.npz")
    with pytest.raises(ValueError, match=message):
        faces.main(faces.Config(dataset=path, image_size=None, attributes=(attribute,)))


def test_run_folders_that_cannot_be_used(tmp_path):
    run = tmp_path / "run"
    options = {"dataset": "digits", "epochs": 1, "hidden": (8,), "code": 2, "run_dir": str(run)}
    other = clustering.Config(**options)
    running.open_run(other, datasets.load(other), "clustering")
    with pytest.raises(ValueError, match="experiment"):
        latent_space.main(latent_space.Config(grid=2, **options))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    options["run_dir"] = str(tmp_path / "other")
    with pytest.raises(ValueError, match="not a run folder"):
        latent_space.main(latent_space.Config(grid=2, **options))
