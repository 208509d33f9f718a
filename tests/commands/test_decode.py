"""`jaxae sample`, `interpolate`, `traverse` and `neighbours`."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxae
from jaxae.networks import mlp_decoder, mlp_encoder
from jaxae.runs import figures, outputs, sampling
from tests.commands.conftest import make_run, write_picture


def pixels(path):
    return np.asarray(Image.open(path))


def test_samples_are_those_of_the_run_and_old_ones_are_replaced(vae_run, jaxae_command, tmp_path):
    out = tmp_path / "new" / "samples"
    code, said, _ = jaxae_command("sample", vae_run, "-n", 12, "--out", out, "--seed", 5)
    assert code == 0
    assert "sample-000.png ... sample-011.png, grid.png" in said
    names = [f"sample-{i:03d}.png" for i in range(12)]
    assert sorted(path.name for path in out.iterdir()) == ["grid.png", *names]
    expected = np.round(255 * jaxae.load_run(vae_run).sample(12, seed=5)[..., 0])
    np.testing.assert_array_equal([pixels(out / name) for name in names], expected)

    code, _, err = jaxae_command("sample", vae_run, "-n", 3, "--out", out)
    assert code == 2
    assert "grid.png exists already (and 3 more)" in err
    (out / "sample-notes.png").write_bytes(b"mine")
    mine = [write_picture(out / f"sample-{number}.png", np.zeros((4, 4))) for number in (12, 2024)]
    (out / "sample-555.png").write_bytes(b"no picture")
    assert jaxae_command("sample", vae_run, "-n", 3, "--out", out, "--overwrite")[0] == 0
    left = sorted(path.name for path in out.iterdir())
    others = [*(path.name for path in mine), "sample-555.png", "sample-notes.png"]
    assert left == sorted(["grid.png", *names[:3], *others])


def test_temperature_scales_codes_around_the_mean(vae_run):
    run = jaxae.load_run(vae_run)
    cold = sampling.draw(run, 4, temperature=0)
    np.testing.assert_allclose(cold, run.decode(np.zeros((4, 3), np.float32)), atol=1e-6)
    warm = sampling.draw(run, 4, seed=2, temperature=1 + 1e-6)
    np.testing.assert_allclose(warm, run.sample(4, seed=2), atol=1e-4)


def test_models_without_a_prior_need_fitted_codes(plain_run, jaxae_command, tmp_path, digits):
    code, _, err = jaxae_command("sample", plain_run, "--out", tmp_path / "s")
    assert code == 2
    assert "has no prior to draw codes from; --fitted" in err
    run = jaxae.load_run(plain_run)
    images = sampling.draw_fitted(run, 2000, temperature=0.5)
    codes = run.encode(digits.train.images)
    drawn = sampling.draw_fitted(run, 3, temperature=0)
    np.testing.assert_allclose(
        drawn, run.decode(codes.mean(0, keepdims=True).repeat(3, 0)), atol=1e-5
    )
    assert images.shape == (2000, 8, 8, 1)
    threes = sampling.draw_fitted(run, 1, temperature=0, label=3)
    of_three = codes[digits.train.labels == 3].mean(0, keepdims=True)
    np.testing.assert_allclose(threes, run.decode(of_three), atol=1e-5)
    with pytest.raises(ValueError, match="no training image has the label 11; they are 0 to 9"):
        sampling.draw_fitted(run, 1, label=11)


def test_fitted_samples_without_the_data_set(tmp_path, digits, capsys):
    model = jaxae.autoencoder(mlp_encoder(2, (4,)), mlp_decoder((8, 8, 1), (4,)))
    folder = make_run(
        tmp_path / "moved", model, digits.train.images, dataset=str(tmp_path / "gone")
    )
    run = jaxae.load_run(folder)
    z = run.code_mean[None].repeat(2, 0)
    images = sampling.draw_fitted(run, 2, temperature=0)
    np.testing.assert_allclose(images, run.decode(z), atol=1e-6)
    assert "each latent dimension is drawn on its own" in capsys.readouterr().err


def test_a_label_chooses_a_class_of_the_prior(tmp_path, digits, vae_run):
    prior = jaxae.priors.petals(4)
    base = jaxae.autoencoder(mlp_encoder(2, (4,)), mlp_decoder((8, 8, 1), (4,)))
    model = jaxae.denoising(
        jaxae.adversarial(base, mlp_encoder(1, (4,)), prior), jaxae.corruptions.gaussian(0.1)
    )
    run = jaxae.load_run(make_run(tmp_path / "adversarial", model, digits.train.images))
    z = prior.sample(jax.random.key(7), 5, condition=jnp.full(5, 2))
    np.testing.assert_allclose(sampling.draw(run, 5, seed=7, label=2), run.decode(z), atol=1e-6)
    with pytest.raises(ValueError, match="--label must be in 0 ... 3, got 4"):
        sampling.draw(run, 5, label=4)
    with pytest.raises(ValueError, match="a temperature scales the codes of a normal prior"):
        sampling.draw(run, 5, temperature=0.5)
    with pytest.raises(ValueError, match="the prior of this run has no classes"):
        sampling.draw(jaxae.load_run(vae_run), 5, label=2)


def test_interpolation_writes_a_strip_and_a_film(
    vae_run, jaxae_command, digits, tmp_path, monkeypatch
):
    drawn = {}
    monkeypatch.setattr(figures, "rows", lambda images, path, **more: drawn.update(images, **more))
    files = [
        write_picture(tmp_path / f"{i}.png", digits.test.images[i, ..., 0]) for i in (0, 90, 170)
    ]
    arguments = ("interpolate", vae_run, *files, "--out", tmp_path / "out", "--steps", 5)
    code, said, _ = jaxae_command(*arguments)
    assert code == 0
    assert said.strip() == f"{tmp_path / 'out'}: strip.png, interpolation.gif"
    run = jaxae.load_run(vae_run)
    z = run.encode(digits.test.images[[0, 90, 170]])
    t = np.linspace(0, 1, 5)[:, None]
    row = drawn["90.png to\n170.png"]
    assert drawn["columns"] == ["picture", "0", "0.25", "0.5", "0.75", "1", "picture"]
    np.testing.assert_allclose(row[1:-1], run.decode((1 - t) * z[1] + t * z[2]), atol=1e-5)
    np.testing.assert_allclose(row[-1], digits.test.images[170] / 255, atol=1e-6)
    with Image.open(tmp_path / "out" / "interpolation.gif") as film:
        assert film.n_frames > 24  # equal frames are joined
        side = film.size[0] // 8
        first = np.asarray(film.convert("L"))[::side, ::side]
    np.testing.assert_array_equal(first, np.round(255 * run.decode(z[:1])[0, ..., 0]))

    code, _, err = jaxae_command("interpolate", vae_run, files[0], "--out", tmp_path / "other")
    assert code == 2
    assert "needs two pictures or more, got 1" in err
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    code, _, err = jaxae_command("interpolate", vae_run, *files, bad, "--out", tmp_path / "other")
    assert code == 2
    assert f"error: nothing is written; {bad} cannot be read" in err
    assert not (tmp_path / "other").exists()


def test_interpolation_without_pictures_takes_two_classes(
    vae_run, jaxae_command, tmp_path, monkeypatch
):
    drawn = {}
    monkeypatch.setattr(figures, "rows", lambda images, path, **more: drawn.update(images))
    arguments = ("interpolate", vae_run, "--out", tmp_path, "--path", "spherical")
    assert jaxae_command(*arguments)[0] == 0
    (name,) = drawn
    assert re.fullmatch(r"test image \d+ \(0\) to\ntest image \d+ \(1\)", name)


def test_films_in_colour_are_exact_as_png(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3), np.uint8)
    outputs.write_animation(frames, tmp_path / "film.png", seconds=0.1, size=12)
    with Image.open(tmp_path / "film.png") as film:
        assert (film.n_frames, film.size, film.info["duration"]) == (3, (12, 12), 100.0)
        for i in range(3):
            film.seek(i)
            np.testing.assert_array_equal(np.asarray(film.convert("RGB"))[::2, ::2], frames[i])


def test_traversals_are_sorted_by_deviation(vae_run, jaxae_command, digits, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(figures, "rows", lambda images, path, **more: drawn.update(images))
    run = jaxae.load_run(vae_run)
    picture = write_picture(tmp_path / "a.png", digits.test.images[3, ..., 0])
    out = tmp_path / "t.png"
    arguments = ("traverse", vae_run, picture, "--out", out, "--steps", 3, "--dimensions", 2)
    code, said, _ = jaxae_command(*arguments)
    assert code == 0
    assert "2 of 3 latent dimensions" in said
    order = np.argsort(-run.code_std)[:2]
    assert [name.split()[0] for name in drawn] == [f"z{d}" for d in order]
    z = run.encode(digits.test.images[3:4]).repeat(3, 0)
    d = order[0]
    z[:, d] = run.code_mean[d] + run.code_std[d] * np.array([-3, 0, 3])
    np.testing.assert_allclose(next(iter(drawn.values())), run.decode(z), atol=1e-5)


def test_neighbours_are_those_with_the_nearest_codes(vae_run, jaxae_command, digits, tmp_path):
    picture = write_picture(tmp_path / "a.png", digits.train.images[100, ..., 0])
    out = tmp_path / "n.png"
    code, said, _ = jaxae_command("neighbours", vae_run, picture, "--out", out, "--count", 3)
    assert code == 0
    assert pixels(out).shape[1] > 300
    codes = jaxae.load_run(vae_run).encode(digits.train.images)
    distance = np.linalg.norm(codes - codes[100], axis=1)
    rows = re.findall(r"│ +(?:a\.png)? +│ \d │ (\d+) +│ (\d) +│ ([\d.e-]+) +│", said)
    assert [int(row[0]) for row in rows] == np.argsort(distance, kind="stable")[:3].tolist()
    assert [int(row[1]) for row in rows] == digits.train.labels[
        [int(row[0]) for row in rows]
    ].tolist()
    np.testing.assert_allclose(
        [float(row[2]) for row in rows], np.sort(distance)[:3], rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("command", ["encode", "traverse", "neighbours", "interpolate", "evaluate"])
def test_what_is_read_is_never_replaced(command, vae_run, jaxae_command, digits, tmp_path):
    picture, array = tmp_path / "strip.png", tmp_path / "a.npz"
    write_picture(picture, digits.test.images[0, ..., 0])
    np.savez(array, images=digits.test.images[:4])
    calls = {
        "encode": (array, picture, "--out", array),
        "interpolate": (picture, picture, "--out", tmp_path),
        "evaluate": ("--out", vae_run / "results.json"),
    }
    before = {path: path.read_bytes() for path in (picture, array, vae_run / "results.json")}
    call = calls.get(command, (picture, "--out", picture))
    code, _, err = jaxae_command(command, vae_run, *call, "--overwrite")
    assert code == 2
    assert "is read, so it is not replaced" in err
    assert {path: path.read_bytes() for path in before} == before


def test_a_model_that_makes_no_images_is_refused(jaxae_command, digits, tmp_path):
    params = mlp_encoder(4, (4,)).init(jax.random.key(0), jaxae.as_float(digits.train.images[:5]))
    model = jaxae.classifier(mlp_encoder(4, (4,)), params, 3)
    folder = make_run(tmp_path / "judge", model, digits.train.images)
    out = tmp_path / "out"
    for arguments in (
        ("sample", folder, "--fitted", "-n", 2, "--out", out),
        ("interpolate", folder, "--out", out),
        ("traverse", folder, "--out", out / "t.png"),
    ):
        code, _, err = jaxae_command(*arguments)
        assert code == 2
        assert err.splitlines()[-1].startswith(f"error: {folder} is a run of classifier(")
        assert not out.exists()
