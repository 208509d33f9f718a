"""What trained runs do to pictures."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae.data import colors
from jaxae.networks import (
    activate,
    add,
    colorize,
    conv_decoder,
    conv_encoder,
    fill,
    mlp_decoder,
    mlp_encoder,
    unet_decoder,
    unet_encoder,
    with_input,
)
from jaxae.runs import painting, pictures
from jaxae.runs.inputs import Inputs
from jaxae.runs.loading import TrainedRun
from jaxae.runs.sizes import at_size, takes_any_size

KEY = jax.random.key(0)
SHAPE = (14, 12, 3)


def photographs(n=1, shape=SHAPE, seed=0):
    """Smooth images, bytes."""
    low = jax.random.uniform(jax.random.key(seed), (n, 4, 3, shape[-1]))
    return np.asarray(jnp.round(255 * jax.image.resize(low, (n, *shape), "linear"))).astype(
        np.uint8
    )


def unet(shape=SHAPE, seen=None, combine=add):
    """A U-Net whose output is combined with its input."""
    networks = unet_encoder((4,)), unet_decoder(shape, (4,))
    if combine is not None:
        networks = with_input(*networks, shape if seen is None else seen, combine)
    return jaxae.autoencoder(*networks)


def conv(shape):
    return jaxae.autoencoder(conv_encoder(5, (4,)), conv_decoder(shape, (4,)))


def trained(model, use, shape=SHAPE, seen=None):
    """A run of this model, as if its parameters had been trained."""
    x, inputs = (jax.ShapeDtypeStruct((1, *(s or shape)), jnp.float32) for s in (shape, seen))
    shapes = jax.eval_shape(model.init, KEY, jaxae.Batch(x, seen=seen and inputs))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.float32(0.3 * rng.normal(size=leaf.shape)), shapes)
    record = {"config": {}, "recipe": jaxae.recipe_of(model), "use": use}
    record["inputs"] = Inputs(shape, seen)._asdict()
    return TrainedRun(Path("runs/one"), model, params, json.loads(json.dumps(record)))


@pytest.fixture(scope="module")
def runs():
    """A run of each task, by its name."""
    hole = jaxae.corruptions.hide(jaxae.masks.block(0.5))
    noise = jaxae.corruptions.gaussian(0.3)
    models = {
        "colorize": jaxae.denoising(unet(combine=colorize), jaxae.corruptions.grayscale()),
        "enlarge": jaxae.denoising(unet(), jaxae.corruptions.downsample(2)),
        "inpaint": jaxae.denoising(unet(seen=(14, 12, 4), combine=fill), hole),
        "denoise": jaxae.denoising(unet(combine=None), noise),
        "translate": unet(),
    }
    options = {"enlarge": {"factor": 2, "symmetries": 8}, "colorize": {"symmetries": 2}}
    return {
        task: trained(
            model,
            {"task": task} | options.get(task, {}),
            seen=SHAPE if task == "translate" else None,
        )
        for task, model in models.items()
    }


def paint(run, images, alpha=None, track=iter):
    return painting.task_of(run).make(run, track)(images, alpha)


def hole_of(images):
    """The upper left quarter is transparent."""
    alpha = np.ones((*images.shape[:3], 1), np.float32)
    alpha[:, : images.shape[1] // 2 + 1, : images.shape[2] // 2] = 0
    return alpha


@pytest.mark.parametrize(
    ("task", "size"),
    [
        ("denoise", (1, 1)),
        ("denoise", (5, 3)),
        ("denoise", (65, 97)),
        ("colorize", (1, 3)),
        ("enlarge", (1, 3)),
        ("translate", (9, 8)),
    ],
)
def test_pictures_of_any_size(runs, task, size):
    found = paint(runs[task], photographs(1, (*size, 3)))
    factor = 2 if task == "enlarge" else 1
    assert found.shape == (1, factor * size[0], factor * size[1], 3)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("task", ["enlarge", "denoise", "translate"])
def test_the_result_is_the_reconstruction_of_the_model(runs, task):
    """For a picture of the size of the training images."""
    run = runs[task]
    images = photographs(1, (7, 6, 3) if task == "enlarge" else SHAPE)
    x = jaxae.as_float(images)
    if task == "enlarge":
        x = jnp.clip(jax.image.resize(x, (1, *SHAPE), "cubic"), 0, 1)
    expected = jaxae.augmentations.self_ensemble(
        lambda x: jnp.clip(jaxae.reconstruct(run.model, run.params, x), 0, 1),
        4 if task == "enlarge" else 1,
    )(x)
    found = paint(run, images)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found - np.asarray(x)).max() > 0.1


def test_a_stack_of_pictures_gives_the_result_of_each(runs):
    images = photographs(2)
    whole = paint(runs["colorize"], images)
    parts = [paint(runs["colorize"], images[i : i + 1]) for i in range(2)]
    np.testing.assert_allclose(whole, np.concatenate(parts), atol=1e-5)


def test_a_stack_of_pictures_with_holes_for_a_model_of_grey_images():
    """Each of the colours of a picture has the hole of this picture."""
    hole = jaxae.corruptions.hide(jaxae.masks.block(0.5))
    model = jaxae.denoising(unet((14, 12, 1), seen=(14, 12, 2), combine=fill), hole)
    run = trained(model, {"task": "inpaint"}, shape=(14, 12, 1))
    images = photographs(2)
    alpha = hole_of(images)
    alpha[1] = alpha[1, ::-1, ::-1]
    found = paint(run, images, alpha)
    parts = [paint(run, images[i : i + 1], alpha[i : i + 1]) for i in range(2)]
    np.testing.assert_allclose(found, np.concatenate(parts), atol=1e-5)
    known = alpha[..., 0] == 1
    np.testing.assert_allclose(found[known], images[known] / 255, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_colorizing_keeps_the_grey_levels(runs, channels):
    images = photographs(1, (41, 30, channels))
    found = paint(runs["colorize"], images)
    assert found.shape == (1, 41, 30, 3)
    grey = jaxae.as_float(images)
    grey = np.asarray(colors.luma(grey) if channels == 3 else grey)
    inside = ((found > 0) & (found < 1)).all(-1)
    assert inside.mean() > 0.3
    difference = np.asarray(colors.luma(jnp.asarray(found))) - grey
    assert np.abs(difference[..., 0])[inside].max() < 1e-3
    # The colours of the picture are ignored.
    np.testing.assert_allclose(paint(runs["colorize"], grey), found, atol=1e-4)


def test_transparent_pixels_are_filled(runs):
    images = photographs(1, (40, 30, 3))
    alpha = hole_of(images)
    found = paint(runs["inpaint"], images, alpha)
    known = alpha[..., 0] == 1
    np.testing.assert_allclose(found[known], images[known] / 255, atol=1e-6)
    # What transparent pixels have instead is ignored.
    other = np.where(alpha == 1, images, 255 - images)
    np.testing.assert_allclose(paint(runs["inpaint"], other, alpha), found, atol=1e-6)
    assert np.abs(found[~known] - images[~known] / 255).max() > 0.05


@pytest.mark.parametrize("size", [(14, 12), (140, 120)])
@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_small_holes_stay_small_when_pictures_are_resized(runs, size, rate, monkeypatch):
    seen = []
    monkeypatch.setattr(
        painting, "painters", lambda run: lambda size: lambda x: seen.append(x) or x[..., :-1]
    )
    missing = np.random.default_rng(0).random(size) < rate
    images = np.where(missing[..., None], 0, 200).astype(np.uint8)[None].repeat(3, axis=-1)
    paint(runs["inpaint"], images, np.float32(~missing)[None, ..., None])
    (x,) = np.asarray(seen[0])
    hole = x[..., 3] == 1
    assert hole.mean() < 1.6 * rate
    np.testing.assert_allclose(x[~hole][:, :3], 200 / 255, atol=0.02)
    np.testing.assert_allclose(x[hole][:, :3], 0.5)


@pytest.mark.parametrize("bottleneck", [False, True])
def test_grey_models_see_the_colours_as_three_images(bottleneck):
    grey = (14, 12, 1)
    model = conv(grey) if bottleneck else unet(grey)
    run = trained(model, {"task": "denoise"}, shape=grey)
    images = photographs(1)
    found = paint(run, images)
    assert found.shape == (1, *SHAPE)
    for c in range(3):
        alone = paint(run, images[..., c : c + 1])
        np.testing.assert_allclose(found[..., c : c + 1], alone, atol=1e-4)


def test_models_of_colours_give_grey_pictures_for_grey_ones(runs):
    images = photographs(1, (14, 12, 1))
    for task in ("denoise", "translate"):
        assert paint(runs[task], images).shape[-1] == 1
    assert paint(runs["inpaint"], images, hole_of(images)).shape[-1] == 1


@pytest.mark.parametrize(("seen", "shape"), [(1, 3), (3, 1)])
def test_translation_to_images_with_other_channels(seen, shape):
    size = (14, 12)
    model = unet((*size, shape), combine=None)
    run = trained(model, {"task": "translate"}, shape=(*size, shape), seen=(*size, seen))
    for channels in (1, 3):
        images = photographs(1, (9, 8, channels))
        assert paint(run, images).shape == (1, 9, 8, shape)
    if seen == 1:  # the colours of a picture make one grey image here
        luma = np.asarray(colors.luma(jaxae.as_float(images)))
        np.testing.assert_allclose(paint(run, images), paint(run, luma), atol=1e-6)


@pytest.mark.parametrize("task", ["denoise", "reconstruct", "translate"])
def test_a_network_with_a_bottleneck_sees_the_square_in_the_middle(task, capsys):
    shape = (8, 8, 3)
    run = trained(conv(shape), {"task": task}, shape=shape)
    images = photographs(1, (16, 32, 3))
    found = paint(run, images)
    (square,) = images[:, :, 8:24]
    expected = run.reconstruct(jaxae.data.images.resize(square, 8)[None])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    said = capsys.readouterr().err
    assert said.count("note: ") == 1
    assert "takes images of 8 x 8 pixels only" in said
    paint(run, photographs(1, shape))
    assert capsys.readouterr().err == ""


def test_plain_runs_reconstruct(capsys):
    shape = (8, 8, 1)
    base = mlp_encoder(6, (5,)), mlp_decoder(shape, (5,))
    run = trained(jaxae.vae(*base, latent_dim=3), {"task": "reconstruct"}, shape=shape)
    images = photographs(3, shape)
    np.testing.assert_allclose(paint(run, images), run.reconstruct(images), atol=1e-6)
    assert paint(run, photographs(1, (8, 8, 3))).shape == (1, 8, 8, 1)
    assert "only the grey levels are used" in capsys.readouterr().err
    # A U-Net without a task of its own takes pictures of any size too.
    free = trained(unet(shape, combine=None), {"task": "reconstruct"}, shape=shape)
    assert paint(free, photographs(1, (13, 30, 3))).shape == (1, 13, 30, 3)


def test_large_pictures_are_tiled_and_counted(runs, monkeypatch):
    monkeypatch.setattr(pictures, "TILE", 16)
    monkeypatch.setattr(pictures, "MARGIN", 8)
    tiles = []

    def track(steps):
        tiles.append(len(steps))
        return steps

    images = photographs(1, (40, 24, 3))
    found = paint(runs["denoise"], images, track=track)
    assert tiles == [6]
    monkeypatch.undo()
    np.testing.assert_allclose(found, paint(runs["denoise"], images), atol=1e-4)


def test_colorization_by_a_network_with_a_bottleneck():
    shape = (8, 8, 3)
    networks = conv_encoder(5, (4,)), conv_decoder(shape, (4,))
    model = jaxae.autoencoder(*with_input(*networks, shape, colorize))
    run = trained(model, {"task": "colorize"}, shape=shape)
    assert paint(run, photographs(1, (20, 30, 3))).shape == (1, 20, 30, 3)


def test_a_size_is_compiled_once(runs, monkeypatch):
    made = []
    monkeypatch.setattr(
        painting, "painter", lambda model, params, count: made.append(count) or jnp.asarray
    )
    of_size = painting.painters(runs["enlarge"])
    for size in ((8, 8), (8, 9), (8, 8), (8, 9)):
        of_size(size)
    assert made == [8, 4]  # only square pictures are turned


def test_recipes_of_another_size():
    model = jaxae.denoising(unet(), jaxae.corruptions.gaussian(0.1))
    recipe = json.loads(json.dumps(jaxae.recipe_of(model)))
    assert takes_any_size(recipe)
    other = jaxae.from_recipe(at_size(recipe, (9, 30)))
    direct = unet((9, 30, 3))
    x = jnp.asarray(photographs(1, (9, 30, 3))) / 255
    params = jax.jit(model.init)(KEY, jnp.zeros((1, *SHAPE)))
    found, expected = (jaxae.reconstruct(each, params, x) for each in (other, direct))
    np.testing.assert_array_equal(found, expected)
    assert recipe == jaxae.recipe_of(model)  # it is not changed


def test_which_models_take_any_size():
    sigmoid = activate(unet_decoder(SHAPE, (4,)), jax.nn.sigmoid)
    likelihood = jaxae.likelihoods.laplace(scale="shared")
    free = jaxae.autoencoder(unet_encoder((4,)), sigmoid, likelihood)
    assert takes_any_size(jaxae.recipe_of(free))
    networks = unet_encoder((4,)), unet_decoder(SHAPE, (4,))
    for model in (
        conv(SHAPE),
        jaxae.autoencoder(unet_encoder((4,)), mlp_decoder(SHAPE, (4,))),
        jaxae.vae(*networks, latent_dim=4),
    ):
        assert not takes_any_size(jaxae.recipe_of(model))
    assert not takes_any_size({})


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ({"task": "paint"}, "the task 'paint', which this version"),
        ({"task": ["denoise"]}, "the use in .* is damaged"),
        ({"task": "enlarge"}, "records the factor None"),
        ({"task": "enlarge", "factor": 1}, "records the factor 1"),
        ({"task": "colorize", "symmetries": 3}, "records 3 symmetries"),
    ],
)
def test_damaged_records_of_the_task(runs, use, message):
    run = runs["translate"]
    record = {"config": {}, "use": use, "inputs": run.inputs._asdict()}
    with pytest.raises(ValueError, match=message):
        paint(TrainedRun(run.directory, run.model, run.params, record), photographs())


def test_what_cannot_be_done_is_said():
    shape = (8, 8, 3)
    run = trained(conv(shape), {"task": "enlarge", "factor": 2}, shape=shape)
    assert paint(run, photographs(1, (4, 4, 3))).shape == (1, *shape)
    with pytest.raises(ValueError, match="images of 8 x 8 pixels only.* of 10 x 8 pixels"):
        paint(run, photographs(1, (5, 4, 3)))
    gan = jaxae.gan(mlp_decoder(shape, (4,)), mlp_encoder(1, (4,)), latent_dim=3)
    with pytest.raises(ValueError, match=r"gan.*has no encoder.*jaxae sample"):
        painting.task_of(trained(gan, {"task": "reconstruct"}, shape=shape))
    encode = jaxae.networks.activate(mlp_encoder(3, (4,)), jax.nn.relu)
    pretrained = encode.init(KEY, jnp.zeros((1, *shape)))
    classifier = trained(
        jaxae.classifier(encode, pretrained, 10), {"task": "reconstruct"}, shape=shape
    )
    with pytest.raises(ValueError, match=r"classifier.*makes no images"):
        paint(classifier, photographs(1, shape))
    with pytest.raises(ValueError, match="it has 3 channels, and the run .* with 2"):
        paint(trained(unet((8, 8, 2)), {"task": "denoise"}, shape=(8, 8, 2)), photographs())
