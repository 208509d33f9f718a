"""Colorization, super-resolution, inpainting and translation, as functions and as commands."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import jaxae
from experiments import colorization, inpainting, super_resolution, translation
from experiments.shared import applying, measuring
from experiments.shared import image_to_image as common
from jaxae.runs import pictures
from tests.experiments.running import command

# Runs are trained once in a process and used by many tests.
pytestmark = pytest.mark.xdist_group("image to image")

KEY = jax.random.key(0)
SMALL = {"epochs": 1, "hidden": (4,), "blocks": 1}


def photographs(n=60, shape=(14, 12, 3), seed=0):
    """Smooth images in colour."""
    low = jax.random.uniform(jax.random.key(seed), (n, 4, 3, shape[-1]))
    return np.asarray(jnp.round(255 * jax.image.resize(low, (n, *shape), "linear"))).astype(
        np.uint8
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A file of images in colour."""
    path = tmp_path_factory.mktemp("photos") / "photos.npz"
    np.savez(path, images=photographs())
    return str(path)


def run(module, photos, folder, **options):
    config = module.Config(dataset=photos, run_dir=str(folder), **SMALL | options)
    results = module.main(config)
    assert json.loads((folder / "results.json").read_text()) == results
    assert all(np.isfinite(v) for v in results.values() if isinstance(v, float))
    return results, {path.name for path in (folder / "figures").iterdir()}


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    """A run folder of each experiment, with its results and figures."""
    folders = {}
    for module, options in (
        (colorization, {}),
        (super_resolution, {}),
        (inpainting, {"image_size": None, "hole": "torn:0.4"}),
        (translation, {"make": "night"}),
    ):
        folder = tmp_path_factory.mktemp(module.__name__.rsplit(".", 1)[-1])
        folders[module] = (folder, *run(module, photos, folder, **options))
    return folders


BASELINES = {
    colorization: {"grey", "affine"},
    super_resolution: {"bicubic"},
    inpainting: {"mean_fill", "biharmonic"},
    translation: {"input", "mean_target"},
}


@pytest.mark.slow
@pytest.mark.parametrize("module", BASELINES)
def test_every_method_has_every_score(trained, module):
    _, results, figures = trained[module]
    methods = BASELINES[module] | {"test"} | ({"once"} if module is not translation else set())
    names = {"mse", "psnr", "image_psnr", "ssim"}
    if module is colorization:
        names |= {"chroma_error", "colorfulness"}
    if module is inpainting:
        names |= {"hole_mse", "hole_psnr"}
    found = {key for key in results if "/" in key and not key.startswith("validation")}
    assert found == {f"{method}/{name}" for method in methods for name in names}
    for method in methods:
        mse = results[f"{method}/mse"]
        assert results[f"{method}/psnr"] == pytest.approx(-10 * np.log10(mse))
    assert len(figures) == 2
    assert "learning_curves.png" in figures
    assert "psnr in dB of the mean mse" in results["protocol"]


def test_measures_are_scikit_images():
    truth, image = photographs(5, seed=1), photographs(5, seed=2)
    wild = jnp.asarray(image) / 255 * 1.4 - 0.2
    found = measuring.measure((image, truth), lambda seen: wild[: len(seen)], lambda *_: {})
    clipped = np.clip(np.asarray(wild), 0, 1)
    x = truth / 255
    assert found["mse"] == pytest.approx(np.square(x - clipped).mean(), rel=1e-5)
    psnr = [peak_signal_noise_ratio(a, b, data_range=1) for a, b in zip(x, clipped, strict=True)]
    assert found["image_psnr"] == pytest.approx(np.mean(psnr), rel=1e-5)
    ssim = [
        structural_similarity(
            a,
            b,
            data_range=1,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for a, b in zip(x, np.float64(clipped), strict=True)
    ]
    assert found["ssim"] == pytest.approx(np.mean(ssim), abs=1e-4)
    tiny = measuring.measure((image[:, :5], truth[:, :5]), lambda seen: seen, lambda *_: {})
    assert "ssim" not in tiny
    same = measuring.measure((image, image), lambda seen: seen, lambda *_: {})
    assert same["mse"] == 0
    assert same["image_psnr"] == pytest.approx(100)
    assert same["psnr"] == 100


@pytest.mark.parametrize(
    ("module", "baseline"),
    [(colorization, "grey"), (super_resolution, "bicubic"), (translation, "input")],
)
def test_a_network_that_copies_its_input_scores_as_the_baseline(module, baseline, monkeypatch):
    nothing = jaxae.Network(
        lambda key, z: {}, lambda params, z, *, key=None: jnp.zeros((len(z), 14, 12, 3))
    )
    monkeypatch.setattr(jaxae.networks, "unet_decoder", lambda *_, **__: nothing)
    truth, shape, config = photographs(6), (14, 12, 3), module.Config(**SMALL)
    if module is translation:
        task, seen = module.task(shape, shape, ""), translation.night(KEY, truth)
    else:
        task = module.task(config, None) if module is colorization else module.task(config)
        seen = measuring.corrupted(task.corrupt, truth)
    model = common.build(config, task, shape)
    params = model.init(KEY, jaxae.Batch(truth, seen=seen))
    found = measuring.measure((seen, truth), common.painter(model, params, 2), task.scores)
    expected = measuring.measure((seen, truth), task.baselines(truth)[baseline], task.scores)
    assert len(found) >= 4
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_training_beats_the_baselines(tmp_path):
    """For colours that are a function of the grey level, but not an affine one."""
    level = photographs(150, (8, 8, 1))
    colour = np.where(level > 128, (30, -20, 0), (-30, 10, 40))
    np.save(tmp_path / "x.npy", np.clip(level.astype(int) + colour, 0, 255).astype(np.uint8))
    options = {"epochs": 40, "hidden": (8,), "learning_rate": 2e-2, "symmetries": 1}
    results, _ = run(colorization, str(tmp_path / "x.npy"), tmp_path / "run", **options)
    assert results["test/mse"] < 0.5 * results["affine/mse"] < 0.5 * results["grey/mse"]


def test_the_affine_baseline_is_least_squares():
    truth = photographs()
    seen = measuring.corrupted(jaxae.corruptions.grayscale(), truth)
    paint = colorization.baselines(truth)["affine"]
    y = np.asarray(paint(jnp.asarray(seen)))
    for c in range(3):
        expected = np.polyfit(seen[..., 0].ravel(), truth[..., c].ravel() / 255, 1)
        np.testing.assert_allclose(y[..., c], np.polyval(expected, seen[..., c]), atol=1e-4)


def test_inpainting_baselines_and_the_error_in_the_hole():
    x = jnp.asarray(photographs(4)) / 255
    seen = jaxae.corruptions.hide(jaxae.masks.block(0.5))(KEY, x)
    hole = np.asarray(seen[..., 3]) == 1
    for paint in (inpainting.mean_fill, inpainting.biharmonic):
        y = np.asarray(paint(seen))
        np.testing.assert_allclose(y[~hole], np.asarray(x)[~hole], atol=1e-6)
    filled = np.asarray(inpainting.mean_fill(seen))
    for i in range(4):
        known = np.asarray(x)[i][~hole[i]]
        np.testing.assert_allclose(
            filled[i][hole[i]], np.tile(known.mean(0), (hole[i].sum(), 1)), atol=1e-5
        )
    found = measuring.measure(
        (np.asarray(seen), np.asarray(x)), inpainting.mean_fill, inpainting.scores
    )
    expected = np.square(filled - np.asarray(x))[hole].mean()
    assert found["hole_mse"] == pytest.approx(expected, rel=1e-5)
    assert found["mse"] == pytest.approx(expected * hole.mean(), rel=1e-5)


def test_classes_of_colours(photos, tmp_path):
    results, _ = run(colorization, photos, tmp_path / "a", classes=9)
    assert results["test/colorfulness"] > 0
    assert "9 classes of colours" in results["protocol"]
    out = tmp_path / "out"
    paint(colorization, tmp_path / "a", out, picture(tmp_path / "x.png"))
    assert (out / "x-colorized.png").exists()


def test_every_flag_changes_the_model():
    x = jnp.asarray(photographs(4)) / 255
    losses = []
    for options in (
        {},
        {"blocks": 2},
        {"hidden": (5,)},
        {"residual": False},
        {"likelihood": "laplace"},
        {"network": "conv", "blocks": None, "code": 6},
    ):
        config = colorization.Config(**SMALL | options)
        task = colorization.task(config, None)
        model = jaxae.denoising(common.build(config, task, (14, 12, 3)), task.corrupt)

        @jax.jit
        def loss(x, model=model):
            return model.loss(model.init(KEY, x), KEY, x).loss.mean()

        losses.append(float(loss(x)))
    assert len(set(losses)) == len(losses)


@pytest.mark.parametrize("count", [1, 4])
def test_the_symmetries_are_those_of_training_images(count, photos, tmp_path, monkeypatch):
    transforms = []

    def fit(config, run, model, data):
        transforms.append(data.transform)
        raise StopIteration

    monkeypatch.setattr(common.running, "fit", fit)
    with pytest.raises(StopIteration):
        run(colorization, photos, tmp_path, symmetries=count)
    (transform,) = transforms
    if count == 1:
        assert transform is None
    else:
        x = jnp.asarray(photographs(3)) / 255
        expected = jaxae.augmentations.random_symmetry(count)(KEY, x)
        np.testing.assert_array_equal(transform(KEY, x), expected)


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_the_factor(factor):
    x = jnp.asarray(photographs(2)) / 255
    seen = super_resolution.task(super_resolution.Config(factor=factor)).corrupt(KEY, x)
    np.testing.assert_array_equal(seen, jaxae.corruptions.downsample(factor)(KEY, x))


def test_the_hole():
    masks = jaxae.masks
    for flag, mask in (
        ("block:0.3", masks.block(0.3)),
        ("half", masks.half()),
        ("half:top", masks.half("top")),
        ("pixels:0.2", masks.pixels(0.2)),
        ("torn:0.6", masks.torn(0.6)),
    ):
        shape = (5, 14, 12, 3)
        np.testing.assert_array_equal(inpainting.hole(flag)(KEY, shape), mask(KEY, shape))


def test_the_temperature():
    centres = np.array([[0.2, 0.0], [0.0, 0.2], [-0.1, 0.0]], np.float32)
    outputs = jax.random.normal(KEY, (1, 4, 4, 3, 2)).at[..., 0].set(0.5)
    vivid, pale = (
        colorization.task(colorization.Config(classes=3, temperature=t), centres).likelihood
        for t in (0.05, 2.0)
    )
    found = [float(jaxae.data.colors.colorfulness(one.mean(outputs))[0]) for one in (vivid, pale)]
    assert found[0] > 2 * found[1]


# Applying runs to pictures.


def picture(path, mode="RGB", size=(12, 14), seed=0):
    """Writes a PNG file of the given mode."""
    rgb = photographs(1, (size[1], size[0], 3), seed)[0]
    if mode == "I;16":
        wide = (rgb[..., 0].astype(np.uint16) * 257).tobytes()
        image = Image.frombytes("I;16", size, wide)
    elif mode == "RGBA":
        alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
        alpha[: size[1] // 2, : size[0] // 2] = 0
        image = Image.fromarray(np.concatenate([rgb, alpha], axis=-1))
    else:
        image = Image.fromarray(rgb).convert(mode)
    image.save(path)
    return path


def paint(module, folder, out, *pictures):
    module.main(module.Config(apply=str(folder), images=tuple(map(str, pictures)), out=str(out)))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16", "P"])
def test_colorizing_a_picture(trained, tmp_path, mode, capsys):
    path = picture(tmp_path / "x.png", mode, size=(30, 41))
    paint(colorization, trained[colorization][0], tmp_path / "out", path)
    with Image.open(tmp_path / "out" / "x-colorized.png") as file:
        found = np.asarray(file)
    assert found.shape == (41, 30, 3)
    read = capsys.readouterr()
    assert ("alpha channel is ignored" in read.err) == (mode == "RGBA")
    assert "x-colorized.png" in read.out
    # The grey levels are those of the picture, except where colours are clipped.
    original = jaxae.data.image_files.read_image(path)
    grey = jaxae.as_float(np.broadcast_to(original, (41, 30, 3)))
    difference = jaxae.data.colors.luma(grey) - jaxae.data.colors.luma(jaxae.as_float(found))
    inside = ((found > 0) & (found < 255)).all(-1)
    assert inside.mean() > 0.5
    assert np.abs(np.asarray(difference)[..., 0])[inside].max() < 2 / 255


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (65, 97)])
@pytest.mark.parametrize("module", [colorization, super_resolution, translation])
def test_pictures_of_any_size(trained, module, size, tmp_path):
    path = picture(tmp_path / "x.png", size=size)
    paint(module, trained[module][0], tmp_path / "out", path)
    (written,) = (tmp_path / "out").iterdir()
    factor = 2 if module is super_resolution else 1
    with Image.open(written) as file:
        assert file.size == (factor * size[0], factor * size[1])


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_a_grey_picture_stays_grey(trained, mode, tmp_path):
    path = picture(tmp_path / "x.png", mode)
    paint(super_resolution, trained[super_resolution][0], tmp_path / "out", path)
    with Image.open(tmp_path / "out" / "x-super_resolved.png") as file:
        assert (file.mode, file.size) == ("L", (24, 28))


def test_applying_a_run_gives_the_error_that_was_measured(trained, photos, tmp_path):
    folder, results, _ = trained[colorization]
    test = jaxae.load(photos).test.images
    paths = []
    for i, image in enumerate(test):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    paint(colorization, folder, tmp_path / "out", *paths)
    found = np.stack(
        [np.asarray(Image.open(tmp_path / "out" / f"{p.stem}-colorized.png")) for p in paths]
    )
    error = np.square(found / 255 - test / 255).mean()
    assert error == pytest.approx(results["test/mse"], rel=0.01)


def test_transparent_pixels_are_filled(trained, tmp_path):
    path = picture(tmp_path / "x.png", "RGBA", size=(40, 30))
    paint(inpainting, trained[inpainting][0], tmp_path / "out", path)
    found = np.asarray(Image.open(tmp_path / "out" / "x-inpainted.png"))
    original = np.asarray(Image.open(path))
    known = original[..., 3] == 255
    np.testing.assert_array_equal(found[known], original[..., :3][known])
    assert found.shape == (30, 40, 3)
    with pytest.raises(ValueError, match=r"x2.png: nothing is missing"):
        paint(inpainting, trained[inpainting][0], tmp_path / "out", picture(tmp_path / "x2.png"))
    Image.fromarray(np.zeros((5, 5, 4), np.uint8)).save(tmp_path / "x3.png")
    with pytest.raises(ValueError, match=r"x3.png: everything is missing"):
        paint(inpainting, trained[inpainting][0], tmp_path / "out", tmp_path / "x3.png")


@pytest.mark.parametrize("size", [(12, 14), (120, 140)])
@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_small_holes_stay_small_when_pictures_are_resized(
    trained, tmp_path, size, rate, monkeypatch
):
    seen = []
    monkeypatch.setattr(
        applying, "painters", lambda *_: lambda size: lambda x: seen.append(x) or x[..., :-1]
    )
    rgb = np.full((size[1], size[0], 3), 200, np.uint8)
    missing = np.random.default_rng(0).random(rgb.shape[:2]) < rate
    rgb[missing] = 0  # colours of transparent pixels are ignored
    alpha = np.where(missing, 0, 255).astype(np.uint8)
    Image.fromarray(np.dstack([rgb, alpha])).save(tmp_path / "x.png")
    paint(inpainting, trained[inpainting][0], tmp_path / "out", tmp_path / "x.png")
    (x,) = np.asarray(seen[0])
    hole = x[..., 3] == 1
    assert hole.mean() < 1.6 * rate
    np.testing.assert_allclose(x[~hole][:, :3], 200 / 255, atol=0.02)
    np.testing.assert_allclose(x[hole][:, :3], 0.5)


@pytest.mark.parametrize("module", [super_resolution, translation])
def test_applying_a_run_gives_the_reconstruction_of_the_model(trained, module, photos, tmp_path):
    """For a picture of the size of the training images."""
    folder, _, _ = trained[module]
    path = picture(tmp_path / "x.png", size=(12, 14) if module is translation else (6, 7))
    paint(module, folder, tmp_path / "out", path)
    (written,) = (tmp_path / "out").iterdir()
    known, record, run = applying.trained(
        str(folder), module.__name__.split(".")[-1], module.Config
    )
    shape = (14, 12, 3)
    what = module.task(known) if module is super_resolution else module.task(shape, shape, "")
    model = common.build(known, what, shape)
    params = applying.parameters(run, model, shape, shape)
    x = jaxae.as_float(jaxae.data.image_files.read_image(path))[None]
    if module is super_resolution:
        x = jnp.clip(jax.image.resize(x, (1, *shape), "cubic"), 0, 1)
    count = 4 if module is super_resolution else 1
    answer = jaxae.augmentations.self_ensemble(
        lambda x: jnp.clip(jaxae.reconstruct(model, params, x), 0, 1), count
    )(x)
    found = np.asarray(Image.open(written)) / 255
    np.testing.assert_allclose(found, answer[0], atol=0.51 / 255)
    assert np.abs(found - np.asarray(x[0])).max() > 1 / 255


@pytest.mark.slow
def test_grey_models_and_pictures_in_colour(tmp_path):
    """A model of grey images treats red, green and blue as three images; a bottleneck has one size."""
    np.save(tmp_path / "grey.npy", photographs(40, (14, 12, 1)))
    folder = tmp_path / "inpaint"
    options = {"image_size": None, "network": "conv", "blocks": None, "code": 5}
    run(inpainting, str(tmp_path / "grey.npy"), folder, **options)
    path = picture(tmp_path / "x.png", "RGBA", size=(40, 30))
    paint(inpainting, folder, tmp_path / "out", path)
    found = np.asarray(Image.open(tmp_path / "out" / "x-inpainted.png"))
    original = np.asarray(Image.open(path))
    known = original[..., 3] == 255
    np.testing.assert_array_equal(found[known], original[..., :3][known])
    run(super_resolution, str(tmp_path / "grey.npy"), tmp_path / "sr")
    paint(super_resolution, tmp_path / "sr", tmp_path / "out", picture(tmp_path / "y.png"))
    assert np.asarray(Image.open(tmp_path / "out" / "y-super_resolved.png")).shape == (28, 24, 3)


def test_files_are_not_overwritten_and_not_half_written(trained, tmp_path, monkeypatch):
    path = picture(tmp_path / "x.png")
    (tmp_path / "x-colorized.png").write_text("mine")
    paint(colorization, trained[colorization][0], tmp_path, path)
    assert (tmp_path / "x-colorized.png").read_text() == "mine"
    assert (tmp_path / "x-colorized-2.png").exists()

    def full(self, file, **options):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    before = set(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"0 of 1 pictures done; .*x.png: .*No space left"):
        paint(colorization, trained[colorization][0], tmp_path, path)
    assert set(tmp_path.iterdir()) == before


def test_a_picture_that_does_not_fit_into_memory_is_named(trained, tmp_path, monkeypatch):
    def painters(*_):
        raise MemoryError

    monkeypatch.setattr(pictures, "resized", painters)
    path = picture(tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"x.png: too large for the memory"):
        paint(colorization, trained[colorization][0], tmp_path / "out", path)


def test_symmetries_fit_the_hole(photos):
    for hole, count in (("half:left", 1), ("half:top", 2), ("half", 2), ("block:0.5", 2)):
        config = inpainting.Config(hole=hole)
        assert common.symmetries(config, inpainting.task(config), (8, 8, 3)) == count
    config = inpainting.Config(hole="half:left", symmetries=2)
    with pytest.raises(ValueError, match="the left half missing. has 1"):
        common.symmetries(config, inpainting.task(config), (8, 8, 3))


def test_known_pixels_are_kept_with_every_accepted_likelihood(photos):
    x = jnp.asarray(photographs(2)) / 255
    for name in ("gaussian", "laplace"):
        for scale in (None, "learned"):
            config = inpainting.Config(likelihood=name, scale=scale, **SMALL)
            model = common.build(config, inpainting.task(config), (14, 12, 3))
            seen = inpainting.task(config).corrupt(KEY, x)
            params = model.init(KEY, jaxae.Batch(x, seen=seen))
            y = jaxae.reconstruct(model, params, seen)
            known = np.asarray(seen[..., 3]) == 0
            np.testing.assert_allclose(np.asarray(y)[known], np.asarray(x)[known], atol=1e-6)


def test_changed_targets_are_an_error(tmp_path):
    np.save(tmp_path / "x.npy", photographs(30))
    np.save(tmp_path / "y.npy", photographs(30, seed=1))
    options = {"inputs": str(tmp_path / "x.npy"), "targets": str(tmp_path / "y.npy")}
    config = translation.Config(**options, run_dir=str(tmp_path / "run"), **SMALL)
    results = translation.main(config)
    assert translation.main(config) == results
    np.save(tmp_path / "y.npy", photographs(30, seed=2))
    with pytest.raises(ValueError, match="targets_data was"):
        translation.main(config)


def test_a_corrupt_picture_among_good_ones(trained, tmp_path):
    good, other = picture(tmp_path / "good.png"), tmp_path / "sub" / "good.png"
    other.parent.mkdir()
    picture(other, seed=1)
    bad = tmp_path / "bad.png"
    bad.write_bytes(good.read_bytes()[:60])
    folder = trained[colorization][0]
    done = command(
        "experiments.colorization", "--apply", folder, bad, good, other, "--out", tmp_path / "out"
    )
    assert done.returncode == 2
    (line,) = (said for said in done.stderr.splitlines() if not said.startswith("reading "))
    assert line.startswith("error: 2 of 3 pictures done")
    assert str(bad) in line
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "good-colorized.png",
        "good-colorized-2.png",
    }


def test_tiles_give_the_result_of_the_whole_picture(monkeypatch):
    monkeypatch.setattr(pictures, "TILE", 8)
    monkeypatch.setattr(pictures, "MARGIN", 3)
    x = np.asarray(jax.random.uniform(KEY, (2, 37, 21, 3)))
    sizes = []

    def blur(tile):
        padded = np.pad(np.asarray(tile), ((0, 0), (2, 2), (1, 1), (0, 0)))
        h, w = tile.shape[1:3]
        return sum(padded[:, i : i + h, j : j + w] for i in range(5) for j in range(3))

    def painters(size):
        def paint(tile):
            assert tile.shape[1:3] == size  # compiled for tiles of this size only
            return blur(tile)

        sizes.append(size)
        return paint

    np.testing.assert_allclose(pictures.tiled(painters, x, 3), blur(x), rtol=1e-5)
    np.testing.assert_allclose(pictures.tiled(painters, x[:, :14, :9], 3), blur(x[:, :14, :9]))
    assert sizes == [(14, 14), (14, 9)]  # one program for all tiles


def test_a_size_is_compiled_once(monkeypatch):
    made = []
    monkeypatch.setattr(applying, "painter", lambda model, params, count: made.append(count))
    config = super_resolution.Config(**SMALL)
    painters = applying.painters(config, super_resolution.task(config), {}, (8, 8, 3))
    for size in ((8, 8), (8, 9), (8, 8), (8, 9)):
        painters(size)
    assert made == [8, 4]  # only square pictures are turned


# Pairs.


def test_pairs_of_folders(tmp_path):
    x = photographs(30)
    for name, several, ending in (("day", x, "png"), ("night", x // 2, "bmp")):
        (tmp_path / name).mkdir()
        for i, image in enumerate(several):
            Image.fromarray(image).save(tmp_path / name / f"{i:02}.{ending}")
    pairs = jaxae.data.load_pairs(tmp_path / "night", tmp_path / "day")
    assert [len(part[0]) for part in pairs] == [24, 3, 3]
    for inputs, targets in pairs:
        np.testing.assert_array_equal(inputs, targets // 2)
    every = np.concatenate([targets for _, targets in pairs])
    assert {image.tobytes() for image in every} == {image.tobytes() for image in x}
    config = translation.Config(
        inputs=str(tmp_path / "night"),
        targets=str(tmp_path / "day"),
        run_dir=str(tmp_path / "run"),
        **SMALL,
    )
    results = translation.main(config)
    assert "3 test pairs of night to day" in results["protocol"]
    (tmp_path / "day" / "29.png").unlink()
    with pytest.raises(ValueError, match=r"29.bmp has no counterpart in .*day \(1 have none\)"):
        jaxae.data.load_pairs(tmp_path / "night", tmp_path / "day")
    Image.fromarray(x[0]).save(tmp_path / "day" / "00.bmp")
    with pytest.raises(ValueError, match="two images of the same name"):
        jaxae.data.load_pairs(tmp_path / "night", tmp_path / "day")


def test_flags_of_given_pairs_reach_the_data(tmp_path, capsys):
    x = np.random.default_rng(0).integers(0, 2, (30, 3, 14, 12)).astype(np.uint16) * 4095
    np.save(tmp_path / "x.npy", x)
    paths = {"inputs": str(tmp_path / "x.npy"), "targets": str(tmp_path / "x.npy")}
    data, pairs, _ = translation.given(translation.Config(**paths, channels="first", levels=4095))
    assert pairs.train.inputs.shape == (24, 14, 12, 3)
    assert pairs.train.targets.max() == 255
    assert "4095" in data.protocol
    assert all(line.startswith("note: ") for line in capsys.readouterr().err.splitlines())
    with pytest.raises(ValueError, match="frames .* is for folders"):
        translation.given(translation.Config(**paths, frames="all"))


def test_pairs_of_arrays_with_other_channels(tmp_path):
    np.save(tmp_path / "grey.npy", photographs(30, (14, 12, 1)))
    np.save(tmp_path / "colour.npy", photographs(30))
    config = translation.Config(
        inputs=str(tmp_path / "grey.npy"),
        targets=str(tmp_path / "colour.npy"),
        run_dir=str(tmp_path / "run"),
        **SMALL,
    )
    results = translation.main(config)
    assert "mean_target/mse" in results
    assert "input/mse" not in results
    paint(translation, tmp_path / "run", tmp_path / "out", picture(tmp_path / "x.png", "L"))
    with Image.open(tmp_path / "out" / "x-translated.png") as file:
        assert file.mode == "RGB"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (photographs(29), "has 30 images and .* has 29"),
        (photographs(30, (14, 11, 3)), "of 14 x 12 x 3 and .* of 14 x 11 x 3; give an image size"),
        (None, "there is no folder or file"),
    ],
)
def test_bad_pairs(other, message, tmp_path):
    np.save(tmp_path / "x.npy", photographs(30))
    if other is not None:
        np.save(tmp_path / "y.npy", other)
    with pytest.raises(ValueError, match=message):
        jaxae.data.load_pairs(tmp_path / "x.npy", tmp_path / "y.npy")


def test_shifts():
    x = np.arange(1, 13, dtype=np.uint8).reshape(1, 3, 4, 1)
    np.testing.assert_array_equal(
        translation.shifted(x, 1, -2)[0, ..., 0], [[0, 0, 0, 0], [3, 4, 0, 0], [7, 8, 0, 0]]
    )
    np.testing.assert_array_equal(translation.shifted(x, 0, 0), x)


def test_night_is_dark_blue_and_noisy():
    x = np.full((50, 8, 8, 3), 255, np.uint8)
    dark = translation.night(KEY, x) / 255
    np.testing.assert_allclose(dark.mean((0, 1, 2)), translation.NIGHT, atol=2e-3)
    np.testing.assert_allclose(dark.std((0, 1, 2)), 0.02, atol=2e-3)


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (colorization, {"dataset": "digits"}, "are grey, and colorization needs colours"),
        (colorization, {"temperature": 0.5}, "needs --classes"),
        (colorization, {"classes": 1}, "at least 2"),
        (colorization, {"classes": 9, "scale": 0.1}, "--classes defines the likelihood"),
        (colorization, {"classes": 9, "residual": False}, "leave out --no-residual"),
        (colorization, {"symmetries": 3}, "1, 2, 4 or 8"),
        (colorization, {"symmetries": 8}, "needs square images"),
        (colorization, {"blocks": 0}, "blocks must be positive"),
        (colorization, {"network": "conv"}, "--blocks is for --network unet"),
        (colorization, {"code": 9}, "--code is for networks with a bottleneck"),
        (super_resolution, {"factor": 1}, "factor of 2 or more"),
        (super_resolution, {"factor": 13}, "larger than the images"),
        (super_resolution, {"likelihood": "bernoulli"}, "add --no-residual"),
        (colorization, {"binarize": True}, "--binarize is not for"),
        (inpainting, {"hole": "block:0"}, "removes no pixel"),
        (translation, {"make": "shift:1.5:0"}, "whole pixels"),
        (inpainting, {"hole": "circle:0.5"}, "unknown hole 'circle'; the holes are block, half"),
        (inpainting, {"hole": "block"}, "such as block:0.5"),
        (inpainting, {"hole": "block:x"}, "not a number"),
        (inpainting, {"hole": "half:up"}, "one of left"),
        (translation, {"make": "day"}, "shift:DOWN:RIGHT or night"),
        (translation, {"make": "shift:1"}, "shift:DOWN:RIGHT or night"),
        (translation, {"make": "shift:40:0"}, "leaves nothing"),
        (translation, {"make": "night", "dataset": "digits"}, "needs colours"),
        (translation, {"inputs": "a.npy"}, "given together"),
        (translation, {"symmetries": 2}, "leave out --symmetries"),
        (colorization, {"out": "x"}, "need --apply"),
        (colorization, {"apply": "x"}, "needs pictures and --out"),
        (colorization, {"apply": "x", "images": ("a.png",), "out": "y", "seed": 2}, "--seed was"),
    ],
)
def test_bad_flags(module, options, message, photos, tmp_path):
    defaults = SMALL | {"dataset": photos, "run_dir": str(tmp_path / "run")}
    if "apply" in options:
        defaults = {}
    if module is inpainting:
        defaults |= {"image_size": None}
    with pytest.raises(ValueError, match=message):
        module.main(module.Config(**defaults | options))
    assert not (tmp_path / "run").exists()


def test_folders_that_cannot_be_applied(trained, tmp_path):
    path = picture(tmp_path / "x.png")
    with pytest.raises(ValueError, match="run folder"):
        paint(colorization, tmp_path, tmp_path / "out", path)
    with pytest.raises(ValueError, match="a run of experiments.inpainting, not of colorization"):
        paint(colorization, trained[inpainting][0], tmp_path / "out", path)
    config = json.loads((trained[colorization][0] / "config.json").read_text())
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.json").write_text(json.dumps(config))
    task = json.dumps({"shape": [14, 12, 3], "centres": None})
    with pytest.raises(ValueError, match=r"has no task.json, or a damaged one"):
        paint(colorization, tmp_path / "begun", tmp_path / "out", path)
    (tmp_path / "begun" / "task.json").write_text(task.replace("3]", "4]"))
    with pytest.raises(ValueError, match=r"14 x 12 x 4; pictures have 1 or 3"):
        paint(colorization, tmp_path / "begun", tmp_path / "out", path)
    (tmp_path / "begun" / "task.json").write_text(task)
    with pytest.raises(ValueError, match="has no checkpoint yet"):
        paint(colorization, tmp_path / "begun", tmp_path / "out", path)
