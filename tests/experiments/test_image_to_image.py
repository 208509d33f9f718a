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
from experiments.shared import image_to_image as common
from experiments.shared import measuring
from jaxae.commands import reconstruct
from tests.experiments.running import refused

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
    x = photographs(1)
    found = jaxae.load_run(tmp_path / "a").reconstruct(x)
    # The grey levels are kept: the model is built again with its centres and the kept input.
    difference = jaxae.data.colors.luma(found) - jaxae.data.colors.luma(jaxae.as_float(x))
    inside = ((found > 0) & (found < 1)).all(-1)
    assert np.abs(np.asarray(difference)[..., 0])[inside].max() < 1e-4


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


# The runs in use.

USES = {
    colorization: {"task": "colorize", "symmetries": 2},
    super_resolution: {"task": "enlarge", "factor": 2, "symmetries": 4},
    inpainting: {"task": "inpaint", "symmetries": 2},
    translation: {"task": "translate", "symmetries": 1},
}
ENDINGS = {
    colorization: "colorized",
    super_resolution: "super_resolved",
    inpainting: "inpainted",
    translation: "translated",
}


@pytest.mark.parametrize("module", USES)
def test_pictures_are_painted_as_the_test_images_were(trained, module, photos, tmp_path):
    """`jaxae reconstruct` on the pictures that were scored gives the error that was measured."""
    folder, results, _ = trained[module]
    run = jaxae.load_run(folder)
    assert run.use == USES[module]
    if module in (colorization, inpainting):  # whose encoders do not see the images themselves
        codes = run.encode(run.load_data().train.images)
        np.testing.assert_allclose(codes.mean(axis=0), run.code_mean, atol=1e-5)
    truth = jaxae.load(photos).test.images
    seen = truth
    if module is inpainting:
        task = inpainting.task(inpainting.Config(hole="torn:0.4"))
        hidden = measuring.corrupted(task.corrupt, truth)
        seen = np.concatenate([truth, np.uint8(255 * (1 - hidden[..., 3:]))], axis=-1)
    elif module is translation:
        seen = translation.night(
            jax.random.fold_in(jax.random.key(translation.MADE_SEED), 2), truth
        )
    elif module is super_resolution:
        small = jaxae.corruptions.downsample(2, keep_shape=False)(KEY, jaxae.as_float(truth))
        seen = np.round(255 * np.asarray(small)).astype(np.uint8)
    paths = [tmp_path / f"{i}.png" for i in range(len(seen))]
    for image, path in zip(seen, paths, strict=True):
        Image.fromarray(image).save(path)
    out = tmp_path / "out"
    reconstruct.main(
        reconstruct.Config(run=str(folder), pictures=tuple(map(str, paths)), out=str(out))
    )
    (ending,) = {path.name.partition("-")[2] for path in out.iterdir()}
    assert ending == f"{ENDINGS[module]}.png"
    found = np.stack([np.asarray(Image.open(out / f"{path.stem}-{ending}")) for path in paths])
    error = np.square(found / 255 - truth / 255).mean()
    assert error == pytest.approx(results["test/mse"], rel=0.01)


def test_the_flag_of_earlier_versions_names_the_command(monkeypatch, capsys):
    arguments = ("x.png", "--out", "colored", "--apply", "runs/colorization")
    said = refused(colorization, *arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert "use: jaxae reconstruct RUN PICTURES --out DIR" in said


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
    grey = photographs(1, (14, 12, 1))
    assert jaxae.load_run(tmp_path / "run").reconstruct(grey).shape == (1, 14, 12, 3)


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
    ],
)
def test_bad_flags(module, options, message, photos, tmp_path):
    defaults = SMALL | {"dataset": photos, "run_dir": str(tmp_path / "run")}
    if module is inpainting:
        defaults |= {"image_size": None}
    with pytest.raises(ValueError, match=message):
        module.main(module.Config(**defaults | options))
    assert not (tmp_path / "run").exists()
