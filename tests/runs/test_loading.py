"""Loading trained runs: the model, its parameters and its inputs; and what cannot be loaded."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae.runs import loading, recording
from jaxae.runs.folder import Run
from jaxae.runs.inputs import BINARIZE_SEED, Inputs

SHAPE = (6, 6, 1)
INPUTS = Inputs(SHAPE)


def images(n=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *SHAPE), np.uint8)


def vae(latent_dim=3, hidden=(8,)):
    return jaxae.vae(
        jaxae.networks.mlp_encoder(2 * latent_dim, hidden),
        jaxae.networks.mlp_decoder(SHAPE, hidden),
        jaxae.likelihoods.bernoulli(),
        latent_dim=latent_dim,
    )


def train(run, model, *, x=None, inputs=INPUTS, epochs=1):
    """What an experiment does with a model."""
    recording.record_run(run, model, inputs)
    x = images() if x is None else x
    fitted = jaxae.fit(
        model,
        x,
        optimizer=optax.adam(1e-2),
        epochs=epochs,
        batch_size=10,
        key=jax.random.key(0),
        checkpoints=run.checkpoints,
        progress=False,
    )
    recording.record_codes(run, model, fitted.params, int(fitted.state.step), lambda: x)
    return fitted


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    run, model = Run(folder, {"experiment": "own"}), vae()
    return folder, model, train(run, model).params


def test_a_run_is_its_model_with_its_parameters(trained):
    folder, model, params = trained
    run = jaxae.load_run(folder)
    x = images(7, seed=1)
    np.testing.assert_allclose(run.encode(x), model.encode(params, x), atol=1e-6)
    z = run.encode(x)
    np.testing.assert_allclose(run.decode(z), model.decode(params, jnp.asarray(z)), atol=1e-6)
    np.testing.assert_allclose(run.reconstruct(x), jaxae.reconstruct(model, params, x), atol=1e-6)
    assert run.sample(4).shape == (4, *SHAPE)
    assert (run.part, run.parts, run.results, run.history) == ("", (), None, [])
    assert run.use == {"task": "reconstruct"}
    assert repr(run) == (
        f"TrainedRun({str(folder)!r}: vae(likelihood=bernoulli, posterior=gaussian(3), "
        "prior=standard_normal(3)))"
    )


def test_inputs_are_numpy_or_jax_bytes_or_floats(trained):
    run = jaxae.load_run(trained[0])
    x = images(3)
    expected = run.encode(x)
    for same in (jnp.asarray(x), x / np.float32(255), x[..., 0], (x / np.float32(255)).tolist()):
        np.testing.assert_allclose(run.encode(same), expected, atol=1e-6)


def test_many_examples_are_those_of_their_batches(trained):
    run = jaxae.load_run(trained[0])
    x = images(1234)
    np.testing.assert_allclose(run.encode(x)[1200:], run.encode(x[1200:]), atol=1e-6)


def test_the_codes_of_the_training_images_are_described(trained):
    run = jaxae.load_run(trained[0])
    codes = run.encode(images())
    np.testing.assert_allclose(run.code_mean, codes.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(run.code_std, codes.std(axis=0), rtol=1e-5, atol=1e-6)


def test_codes_of_earlier_parameters_are_not_described(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    assert jaxae.load_run(folder).code_mean is not None
    jaxae.fit(
        trained[1],
        images(),
        optimizer=optax.adam(1e-2),
        epochs=2,  # one more
        batch_size=10,
        key=jax.random.key(0),
        checkpoints=jaxae.Checkpoints(folder / "checkpoints"),
        progress=False,
    )
    run = jaxae.load_run(folder)
    assert run.code_mean is None
    assert run.code_std is None
    for damaged in ("[1]", '"step"', '{"step": 6}', '{"step": 6, "mean": "a", "std": {}}'):
        (folder / "codes.json").write_text(damaged)
        with pytest.raises(ValueError, match="codes.json is damaged"):
            jaxae.load_run(folder)


def test_the_first_samples_do_not_depend_on_the_number(trained):
    run = jaxae.load_run(trained[0])
    many = run.sample(loading.SAMPLED + 20, seed=3)
    assert len(many) == loading.SAMPLED + 20
    np.testing.assert_array_equal(many[:600], run.sample(loading.SAMPLED + 100, seed=3)[:520])
    assert not np.array_equal(many[:4], run.sample(4, seed=4))
    with pytest.raises(ValueError, match="n must be"):
        run.sample(0)


def test_the_log_likelihood_is_that_of_importance_sampling(trained):
    folder, model, params = trained
    run, x = jaxae.load_run(folder), images(5)
    found = run.log_likelihood(x, samples=400)
    nll = jaxae.analysis.importance_nll(model, params, jax.random.key(9), x, 400)
    np.testing.assert_allclose(found, -nll, atol=0.3)
    assert found.shape == (5,)


def test_grey_images_are_binarised_as_the_test_images_of_the_experiments(tmp_path):
    run = Run(tmp_path, {})
    model = vae()
    x = images()
    params = train(run, model, inputs=INPUTS._replace(binarize=True)).params
    binary = jaxae.data.binarize(
        jax.random.split(jax.random.key(BINARIZE_SEED))[1], jaxae.as_float(x)
    )
    loaded = jaxae.load_run(tmp_path)
    np.testing.assert_allclose(loaded.encode(x), model.encode(params, binary), atol=1e-6)
    np.testing.assert_allclose(loaded.encode(binary), model.encode(params, binary), atol=1e-6)


@pytest.mark.parametrize(
    ("size", "channels"), [((6, 6), 1), ((6, 6), 3), ((20, 30), 3), ((3, 4), 1)]
)
def test_pictures_are_prepared_as_in_training(size, channels, trained):
    run = jaxae.load_run(trained[0])
    picture = np.random.default_rng(0).integers(0, 256, (*size, channels), np.uint8)
    prepared = run.prepare([picture, picture])
    assert prepared.shape == (2, *SHAPE)
    assert prepared.dtype == np.uint8
    if size == (6, 6) and channels == 1:
        np.testing.assert_array_equal(prepared[0], picture)
    if channels == 3:
        grey = picture @ np.array([0.299, 0.587, 0.114])
        square = grey[:, 5:25] if size == (20, 30) else grey
        assert abs(prepared[0].mean() - square.mean()) < 4


def test_grey_pictures_are_repeated_for_a_model_of_colours():
    picture = np.arange(36, dtype=np.uint8).reshape(6, 6, 1)
    np.testing.assert_array_equal(
        Inputs((6, 6, 3)).prepare([picture])[0], np.repeat(picture, 3, -1)
    )


def test_pictures_for_images_that_are_not_square_need_their_size():
    with pytest.raises(ValueError, match="not square; resize it first"):
        Inputs((6, 4, 1)).prepare([np.zeros((8, 8, 1), np.uint8)])
    with pytest.raises(ValueError, match="1 or 3 channels"):
        Inputs((6, 6, 5)).prepare([np.zeros((8, 8, 1), np.uint8)])


@pytest.mark.parametrize("shape", [(3, 6, 5, 1), (3, 6, 6, 3), (6, 6, 1), (0, 6, 6, 1), (36,)])
def test_images_of_another_shape_are_refused(shape, trained):
    run = jaxae.load_run(trained[0])
    for use in (run.encode, run.reconstruct, run.log_likelihood):
        with pytest.raises(ValueError, match=r"needs an array \[n, 6, 6, 1\]"):
            use(np.zeros(shape))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (images(2) * 1.0, "floats must be in .* of type uint8"),
        (images(2) / 127.5 - 1, "values from -0.99"),
        (images(2).astype(np.int32), "not int32"),
        (np.full((1, *SHAPE), np.nan), "from nan to nan"),
    ],
    ids=["floats of bytes", "from -1 to 1", "integers", "nan"],
)
def test_images_in_another_range_are_refused(x, message, trained):
    run = jaxae.load_run(trained[0])
    for use in (run.encode, run.reconstruct, run.log_likelihood):
        with pytest.raises(ValueError, match=message):
            use(x)


def test_noisy_images_are_for_denoising_models(tmp_path):
    train(Run(tmp_path, {}), jaxae.denoising(vae(), jaxae.corruptions.gaussian(0.5)))
    run, noisy = jaxae.load_run(tmp_path), images(2) / 255 + 0.7
    assert run.encode(noisy).shape == (2, 3)
    with pytest.raises(ValueError, match="floats must be"):
        run.encode(255 * noisy)


def test_codes_of_another_size_are_refused(trained):
    with pytest.raises(ValueError, match=r"codes|decoder"):
        jaxae.load_run(trained[0]).decode(np.zeros((2, 4), np.float32))


def test_several_parts_have_a_main_one_and_their_names(tmp_path):
    root = Run(tmp_path, {"experiment": "own"})
    for size in (2, 3):
        train(root.part(f"code {size}"), vae(size))
    assert jaxae.load_run(tmp_path).part == "code 2"
    assert jaxae.load_run(tmp_path, "code 3").encode(images(2)).shape == (2, 3)
    assert jaxae.load_run(tmp_path / "code 3").encode(images(2)).shape == (2, 3)
    root.describe(part="code 3")
    run = jaxae.load_run(tmp_path)
    assert (run.part, run.parts) == ("code 3", ("code 2", "code 3"))
    with pytest.raises(ValueError, match="no part 'code 4'; its parts are code 2, code 3"):
        jaxae.load_run(tmp_path, "code 4")
    root.part("code 5")
    with pytest.raises(
        ValueError, match=r"records no recipe|no checkpoint yet; its parts with one"
    ):
        jaxae.load_run(tmp_path, "code 5")


def test_a_model_with_own_parts_is_given(tmp_path):
    decoder = jaxae.networks.activate(jaxae.networks.mlp_decoder(SHAPE), lambda y: y + 1)
    model = jaxae.autoencoder(jaxae.networks.mlp_encoder(2), decoder)
    params = train(Run(tmp_path, {}), model).params
    with pytest.raises(ValueError, match="records no recipe .*'function'.*model=") as error:
        jaxae.load_run(tmp_path)
    assert "\n" not in str(error.value)
    run = jaxae.load_run(tmp_path, model=model)
    np.testing.assert_allclose(run.encode(images()), model.encode(params, images()), atol=1e-6)


def test_a_model_that_was_not_trained_is_saved_and_loaded(tmp_path):
    x = images()
    model = jaxae.pca(4)
    params = model.init(jax.random.key(0), x)
    for _ in range(2):  # also when the run is resumed
        recording.save_untrained(Run(tmp_path, {}), model, params, INPUTS, x)
    run = jaxae.load_run(tmp_path)
    np.testing.assert_allclose(run.encode(x), model.encode(params, x), atol=1e-6)
    np.testing.assert_allclose(run.code_mean, 0, atol=1e-5)


def test_codes_that_are_no_vector_have_no_mean(tmp_path):
    networks = jaxae.networks
    model = jaxae.autoencoder(networks.unet_encoder((4,)), networks.unet_decoder(SHAPE, (4,)))
    run = Run(tmp_path, {})
    recording.record_run(run, model, INPUTS)
    params = model.init(jax.random.key(0), images(2))
    run.checkpoints.save(1, {}, params, {})
    recording.MAX_CODE_VALUES, before = 10, recording.MAX_CODE_VALUES
    try:
        recording.record_codes(run, model, params, 1, images)
    finally:
        recording.MAX_CODE_VALUES = before
    assert jaxae.load_run(tmp_path).code_mean is None


def changed(folder, tmp_path, **change):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    record = json.loads((copy / "config.json").read_text())
    for name, value in change.items():
        if value is None:
            record.pop(name, None)
        else:
            record[name] = value
    (copy / "config.json").write_text(json.dumps(record))
    return copy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": 3}, "another version of jaxae"),
        ({"recipe": None}, "has no recipe"),
        ({"recipe": None, "inputs": None}, "by an earlier version of jaxae"),
        ({"recipe": {"model": "vae", "shape": [6, 6, 1]}}, "by an earlier version of jaxae"),
        ({"recipe": {"call": "subprocess.run", "args": "true"}}, "damaged.*no constructor"),
        ({"recipe": {"call": "networks.mlp_encoder", "latent_dim": 2}}, "not that of a model"),
        ({"recipe": {"call": "vae", "encoder": 2}}, "damaged"),
        ({"inputs": {"shape": "abc"}}, "inputs in config.json are damaged"),
        ({"inputs": {"shape": [6, -6, 1]}}, "inputs in config.json are damaged"),
        ({"inputs": {"colour": 2}}, "inputs in config.json are damaged"),
        ({"inputs": {"shape": [5, 5, 1]}}, "of another model|do not fit"),
        ({"inputs": [1]}, "inputs in config.json are damaged"),
        ({"inputs": {"shape": [6, 6, 1], "binarize": "no"}}, "damaged: binarize is 'no'"),
        ({"use": {"tasks": "denoise"}}, "the use in .* is damaged"),
        ({"inputs": {"shape": [10**30, 6, 1]}}, "do not fit"),
    ],
    ids=str,
)
def test_damaged_descriptions_are_refused_in_one_line(change, message, trained, tmp_path):
    copy = changed(trained[0], tmp_path, **change)
    before = sorted(copy.rglob("*"))
    with pytest.raises(ValueError, match=message) as error:
        jaxae.load_run(copy)
    assert "\n" not in str(error.value)
    assert sorted(copy.rglob("*")) == before


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"mean": [1]}', '{"mean": [1, 2], "std": [1]}', '{"mean": ["x"], "std": [1]}'],
)
def test_damaged_statistics_of_codes_are_refused(text, trained, tmp_path):
    copy = changed(trained[0], tmp_path)
    (copy / "codes.json").write_text(text)
    with pytest.raises(ValueError, match=r"codes\.json is damaged; remove it"):
        jaxae.load_run(copy)
    (copy / "codes.json").unlink()
    assert jaxae.load_run(copy).code_mean is None


@pytest.mark.parametrize("codes", [np.zeros((0, 3)), [], "abc", np.float32(1)], ids=str)
def test_what_is_no_array_of_codes_is_refused(codes, trained):
    with pytest.raises(ValueError, match=r"no examples|not arrays of numbers|cannot be applied"):
        jaxae.load_run(trained[0]).decode(codes)


def test_folders_without_a_trained_model_are_refused(trained, tmp_path):
    with pytest.raises(ValueError, match="no config.json"):
        jaxae.load_run(tmp_path)
    copy = changed(trained[0], tmp_path)
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(ValueError, match="no checkpoint yet; train it first"):
        jaxae.load_run(copy)
    assert not (copy / "checkpoints").exists()


def test_a_damaged_checkpoint_is_refused(trained, tmp_path, capsys):
    copy = changed(trained[0], tmp_path)
    for path in (copy / "checkpoints").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="can be read") as error:
        jaxae.load_run(copy)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("error", [ValueError("no checkpoint"), FileNotFoundError(2, "none", "x")])
def test_a_checkpoint_that_is_replaced_meanwhile_is_read_again(error, trained, monkeypatch):
    best, gone = jaxae.Checkpoints.best, []

    def often_gone(self, shapes):
        if gone:
            raise gone.pop()
        return best(self, shapes)

    monkeypatch.setattr(jaxae.Checkpoints, "best", often_gone)
    gone.append(error)
    assert jaxae.load_run(trained[0]).encode(images(1)).shape == (1, 3)
    assert not gone
    monkeypatch.setattr(loading.time, "sleep", lambda seconds: None)
    gone.extend([error] * loading.MOST_ATTEMPTS)
    with pytest.raises(ValueError, match="cannot be loaded"):
        jaxae.load_run(trained[0])


WRITER = """
import jax, jaxae, sys
from tests.runs.test_loading import INPUTS, Run, images, recording, vae

run, model = Run(sys.argv[1], {"experiment": "own"}), vae()
recording.record_run(run, model, INPUTS)
params = model.init(jax.random.key(0), jaxae.as_float(images()))
with run.checkpoints.writer() as save:
    for i in range(1, 80):
        save(i, {}, jax.tree.map(lambda leaf: jax.numpy.full_like(leaf, i), params), {})
        if i == 1:
            print("saved", flush=True)
"""


def test_a_run_is_loaded_while_another_process_saves_it(tmp_path):
    folder = tmp_path / "run"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, folder],
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    found = []
    with writer:
        assert writer.stdout.readline() == "saved\n"
        while writer.poll() is None:
            leaves = jax.tree.leaves(jaxae.load_run(folder).params)
            # All of them are of one checkpoint.
            (step,) = {float(value) for leaf in leaves for value in np.unique(leaf)}
            found.append(step)
    assert writer.returncode == 0
    assert found == sorted(found)
    assert len(set(found)) > 2
