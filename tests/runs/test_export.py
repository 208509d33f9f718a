"""Exports compute what the model computes, in a process without jaxae, or are not written."""

import json
import os
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae.commands import export as command
from jaxae.runs.export import exporting, onnx, stablehlo, verification, weights
from jaxae.runs.export.exporting import export_functions, export_weights_of
from jaxae.runs.export.functions import EXAMPLES, Function, functions
from jaxae.runs.folder import Run
from jaxae.runs.inputs import Inputs
from jaxae.runs.recording import record_codes, record_run

SHAPE = (9, 7, 1)

needs_flatbuffers = pytest.mark.skipif(
    find_spec("flatbuffers") is None, reason="flatbuffers is not installed"
)
needs_safetensors = pytest.mark.skipif(
    find_spec("safetensors") is None, reason="safetensors is not installed"
)


def model_of(kind="mlp", shape=SHAPE, **options):
    """A small model, and its parameters."""
    networks = jaxae.networks
    if kind == "unet":
        pair = networks.unet_encoder((4, 8)), networks.unet_decoder(shape, (8, 4))
        pair = networks.with_input(*pair, shape, networks.colorize)
    else:
        encoder, decoder = (getattr(networks, f"{kind}_{part}") for part in ("encoder", "decoder"))
        pair = encoder(6, (8, 8), **options), decoder(shape, (8, 8), **options)
    if kind == "unet":
        model = jaxae.autoencoder(*pair)
    else:
        model = jaxae.vae(*pair, jaxae.likelihoods.bernoulli(), latent_dim=3)
    return model, model.init(jax.random.key(0), np.zeros((2, *shape), np.float32))


@pytest.fixture
def one_batch(monkeypatch):
    monkeypatch.setattr(verification, "BATCHES", (5,))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, digits):
    """A run folder, as an experiment writes it."""
    folder = tmp_path_factory.mktemp("runs") / "vae"
    run = Run(folder, {"experiment": "vae", "dataset": "digits", "seed": 0, "epochs": 1})
    encoder, decoder = (
        jaxae.networks.mlp_encoder(4, (8,)),
        jaxae.networks.mlp_decoder((8, 8, 1), (8,)),
    )
    model = jaxae.vae(encoder, decoder, latent_dim=2)
    images = digits.train.images[:64]
    record_run(run, model, Inputs((8, 8, 1), dataset="digits"))
    fitted = jaxae.fit(
        model,
        images,
        optimizer=optax.adam(1e-3),
        epochs=1,
        key=jax.random.key(0),
        batch_size=32,
        checkpoints=run.checkpoints,
        progress=False,
    )
    record_codes(run, model, fitted.params, 2, lambda: images)
    return folder


@needs_flatbuffers
@pytest.mark.parametrize(
    ("kind", "shape", "options"),
    [
        ("conv", SHAPE, {}),
        pytest.param("resnet", SHAPE, {"dtype": jnp.bfloat16}, marks=pytest.mark.slow),
        pytest.param("unet", (8, 8, 3), {}, marks=pytest.mark.slow),
    ],
)
def test_every_network_is_exported_for_any_number_of_examples(
    kind, shape, options, tmp_path, one_batch
):
    model, params = model_of(kind, shape, **options)
    exported = export_functions(model, params, shape, tmp_path / "out", progress=False)
    assert [*exported.manifest["files"]] == ["encoder.stablehlo", "decoder.stablehlo"]
    x = np.random.default_rng(1).random((3, *shape), np.float32)  # another number than in training
    z = stablehlo.read(tmp_path / "out" / "encoder.stablehlo")(x)
    y = stablehlo.read(tmp_path / "out" / "decoder.stablehlo")(z)
    tolerance = 3e-2 if options else 1e-5
    np.testing.assert_allclose(z, model.encode(params, x), atol=tolerance)
    np.testing.assert_allclose(y, jaxae.reconstruct(model, params, x), atol=tolerance)


@needs_flatbuffers
def test_the_readme_runs_without_jaxae(tmp_path, one_batch):
    model, params = model_of("conv")
    out = tmp_path / "out"
    export_functions(model, params, SHAPE, out, progress=False)
    readme = (out / "README.txt").read_text()
    code = [line.removeprefix("    ") for line in readme.split("without jaxae:")[1].splitlines()]
    assert len([line for line in code if line]) <= 10
    code += ["np.savez('found.npz', x=x, z=z, y=y)"]
    # Importing the project, or what it needs beside jax, fails.
    for name in ("jaxae", "flax", "optax", "orbax", "experiments"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('this is not there')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    (out / "use.py").write_text("\n".join(code))
    done = subprocess.run(
        [sys.executable, "use.py"], cwd=out, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = np.load(out / "found.npz")
    np.testing.assert_allclose(found["z"], model.encode(params, found["x"]), atol=1e-6)
    np.testing.assert_allclose(found["y"], model.decode(params, jnp.asarray(found["z"])), atol=1e-6)
    # Nothing in the files names a folder of this machine.
    for path in out.glob("*.stablehlo"):
        content = path.read_bytes()
        for folder in {Path(jaxae.__file__).parents[1], Path(jax.__file__).parents[1]}:
            assert str(folder).encode() not in content


@needs_flatbuffers
def test_the_manifest_says_what_goes_in_and_comes_out(tmp_path, one_batch):
    model, params = model_of()
    export_functions(model, params, SHAPE, tmp_path / "out", about={"more": 1}, progress=False)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    encoder, decoder = manifest["files"].values()
    x = {"name": "x", "shape": ["b", *SHAPE], "type": "float32", "range": [0, 1]}
    z = {"name": "z", "shape": ["b", 3], "type": "float32"}
    assert encoder["inputs"] == [x]
    assert encoder["outputs"] == decoder["inputs"] == [z]
    assert decoder["outputs"] == [{"name": "y", "shape": ["b", *SHAPE], "type": "float32"}]
    assert "not clipped" in decoder["description"]
    assert encoder["platforms"] == ["cpu", "cuda", "tpu"]
    assert encoder["largest_difference"] < 1e-5
    assert manifest["more"] == 1


@needs_flatbuffers
def test_a_generator_has_a_decoder_alone_and_a_condition_is_an_input(tmp_path, one_batch):
    networks = jaxae.networks
    decoder = networks.mlp_decoder(SHAPE, (8,))
    gan = jaxae.gan(decoder, networks.mlp_encoder(1, (8,)), latent_dim=3)
    params = gan.init(jax.random.key(0), np.zeros((2, *SHAPE), np.float32))
    exported = export_functions(gan, params, SHAPE, tmp_path / "gan", progress=False)
    assert [*exported.manifest["files"]] == ["decoder.stablehlo"]
    assert "there is no encoder" in exported.manifest["notes"][0]

    pair = networks.mlp_encoder(6, (8,)), networks.mlp_decoder(SHAPE, (8,))
    pair = tuple(networks.with_condition(part, classes=4) for part in pair)
    model = jaxae.vae(*pair, latent_dim=3)
    labels = np.arange(4, dtype=np.int32)
    x = np.random.default_rng(0).random((4, *SHAPE), np.float32)
    params = model.init(jax.random.key(0), jaxae.Batch(x, condition=labels))
    with pytest.raises(ValueError, match="this model uses a condition; give condition="):
        export_functions(model, params, SHAPE, tmp_path / "vae", progress=False)
    export_functions(model, params, SHAPE, tmp_path / "vae", condition=labels, progress=False)
    z = stablehlo.read(tmp_path / "vae" / "encoder.stablehlo")(x, labels)
    np.testing.assert_allclose(z, model.encode(params, x, condition=labels), atol=1e-6)
    with pytest.raises(ValueError, match="condition is not one array of float32"):
        onnx.write(functions(model, params, SHAPE, condition=labels)[0][0], tmp_path)
    half, params = model_of(dtype=jnp.bfloat16)
    with pytest.raises(ValueError, match="computes in bfloat16, which onnxruntime does not"):
        onnx.write(functions(half, params, SHAPE)[0][0], tmp_path)
    assert "condition = np.zeros((3,), np.int32)" in (tmp_path / "vae" / "README.txt").read_text()


class Broken:
    """A format whose files compute something else."""

    def __init__(self, model, params, change):
        self._known = {f.name: f.reference for f in functions(model, params, SHAPE)[0]}
        self._change = change

    def read(self, path):
        return lambda *inputs: jax.tree.map(self._change, self._known[path.stem](*inputs))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda y: y + 1e-3, "the exported encoder does not compute what the model computes"),
        (lambda y: y + (len(y) == 2), "with 2 examples the largest difference is 1, and "),
        (lambda y: y * jnp.nan, "the exported encoder does not compute what the model computes"),
        (lambda y: y[:, :1], r"the exported encoder computes float32\[1, 1\] where .*\[1, 3\]"),
    ],
)
def test_nothing_is_written_where_the_verification_fails(change, said, tmp_path, monkeypatch):
    model, params = model_of()
    broken = Broken(model, params, change)
    known = stablehlo.FORMAT._replace(
        check_installed=lambda: None, write=lambda function, path: None, read=broken.read
    )
    monkeypatch.setitem(exporting.FORMATS, "stablehlo", known)
    with pytest.raises(ValueError, match=said):
        export_functions(model, params, SHAPE, tmp_path / "out", progress=False)
    assert list(tmp_path.iterdir()) == []


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@needs_safetensors
def test_weights_are_read_back_by_their_paths(tmp_path):
    from safetensors.numpy import load_file

    model, params = model_of("conv")
    params["half"] = {"kernel": jnp.full(3, 1.25, jnp.bfloat16), "count": jnp.arange(2)}
    exported = export_weights_of(model, params, tmp_path / "out")
    arrays = load_file(tmp_path / "out" / "weights.safetensors")
    described = exported.manifest["files"]["weights.safetensors"]["arrays"]
    assert described.keys() == arrays.keys()
    assert arrays["half/kernel"].dtype == np.float32
    assert arrays["half/kernel"].tolist() == [1.25] * 3
    assert arrays["half/count"].dtype == np.int32
    for path, leaf in jax.tree_util.tree_leaves_with_path(params["encoder"]):
        name = "encoder/" + "/".join(key.key for key in path)
        np.testing.assert_array_equal(arrays[name], leaf)
    with pytest.raises(ValueError, match="two parameters have the name a/b"):
        export_weights_of(model, {"a/b": jnp.ones(1), "a": {"b": jnp.ones(1)}}, tmp_path / "other")


@needs_safetensors
def test_a_folder_is_replaced_as_a_whole_and_only_an_export(tmp_path, monkeypatch):
    model, params = model_of()
    out = tmp_path / "deep" / "out"
    export_weights_of(model, params, out)
    before = contents(out)
    with pytest.raises(ValueError, match="out exists already; give another --out, or --overwrite"):
        export_weights_of(model, params, out)
    with monkeypatch.context() as patch:  # a failure leaves the export that was there
        patch.setattr(weights, "write", lambda arrays, path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export_weights_of(model, params, out, overwrite=True)
    assert contents(out) == before
    export_weights_of(model, jax.tree.map(lambda leaf: leaf + 1, params), out, overwrite=True)
    assert contents(out)["weights.safetensors"] != before["weights.safetensors"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match=r"not of an export, such as thesis\.txt; use another"):
        export_weights_of(model, params, out, overwrite=True)
    with pytest.raises(ValueError, match="is not a folder"):
        export_weights_of(model, params, out / "thesis.txt", overwrite=True)
    with pytest.raises(ValueError, match="cannot be written"):
        export_weights_of(model, params, out / "thesis.txt" / "inside")


@needs_safetensors
def test_what_came_into_the_folder_meanwhile_is_kept(tmp_path, monkeypatch):
    model, params = model_of()
    write = weights.write

    def with_another(arrays, path):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "thesis.txt").write_text("years of work")
        return write(arrays, path)

    monkeypatch.setattr(weights, "write", with_another)
    for overwrite, message in ((False, "out exists"), (True, "out has files in it")):
        with pytest.raises(ValueError, match=message):
            export_weights_of(model, params, tmp_path / "out", overwrite=overwrite)
        assert [path.name for path in tmp_path.rglob("*")] == ["out", "thesis.txt"]
        (tmp_path / "out" / "thesis.txt").unlink()
        (tmp_path / "out").rmdir()


@needs_safetensors
@pytest.mark.parametrize(
    ("manifest", "name"),
    [
        ({"made_by": "webpack", "files": ["photo.jpg"], "format": "x"}, "photo.jpg"),
        ({"made_by": "jaxae 1", "files": ["photos"], "format": "onnx"}, "photos/photo.jpg"),
        ({"made_by": "jaxae 1", "files": {"a": [1]}, "format": "onnx"}, "photo.jpg"),
    ],
    ids=["of another program", "a folder", "another file"],
)
def test_a_folder_that_only_looks_like_an_export_is_kept(manifest, name, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"1")
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="not of an export"):
        export_weights_of(*model_of(), tmp_path, overwrite=True)
    assert (tmp_path / name).read_bytes() == b"1"


@needs_safetensors
def test_the_current_folder_is_not_replaced(tmp_path, monkeypatch):
    model, params = model_of()
    export_weights_of(model, params, tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    for out in (".", tmp_path / "out"):
        with pytest.raises(ValueError, match="is the current folder"):
            export_weights_of(model, params, out, overwrite=True)


def test_values_that_are_not_finite_are_found_in_each_of_several_arrays(tmp_path):
    x = jnp.ones((EXAMPLES, 2))
    for wanted, got in ((x, x * jnp.nan), (x * jnp.nan, x)):
        function = Function(
            "decoder", lambda z: (z, z), lambda z, w=wanted: (z, w), {"z": x}, "y", ""
        )
        kind = stablehlo.FORMAT._replace(read=lambda path, g=got: lambda z: (z, g[: len(z)]))
        with pytest.raises(ValueError, match="not finite|does not compute"):
            verification.verify(function, tmp_path, kind)


@pytest.mark.parametrize("format", ["stablehlo", "onnx", "safetensors"])
def test_a_missing_package_is_a_line_with_the_command(format, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    model, params = model_of()
    write = partial(export_functions, shape=SHAPE, format=format)
    if format == "safetensors":
        write = export_weights_of
    with pytest.raises(ValueError, match=f"the format {format} needs .*: pip install"):
        write(model, params, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_version_of_jax2onnx_that_exports_wrongly_is_refused(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    monkeypatch.setattr(onnx, "version", lambda name: "0.13.2")
    with pytest.raises(ValueError, match=r"jax2onnx 0\.13\.2 exports transposed .* wrongly"):
        onnx.check_installed()
    monkeypatch.setattr(onnx, "version", lambda name: "0.18.0rc1")
    onnx.check_installed()


@pytest.mark.parametrize("kind", ["conv", pytest.param("resnet", marks=pytest.mark.slow)])
def test_convolutions_of_lax_are_those_of_the_model(kind):
    """What is given to jax2onnx has no primitives of ours, and the same values."""
    model, params = model_of(kind)
    for function in functions(model, params, SHAPE)[0]:
        translated = onnx.without_our_primitives(function.call)
        assert "jaxae_conv" in str(jax.make_jaxpr(function.call)(*function.inputs.values()))
        assert "jaxae_conv" not in str(jax.make_jaxpr(translated)(*function.inputs.values()))
        found = jax.jit(translated)(*function.inputs.values())
        expected = jax.jit(function.reference)(*function.inputs.values())
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["mlp", "conv", "resnet"])
def test_onnx_files_compute_the_same(kind, tmp_path):
    pytest.importorskip("jax2onnx", reason="jax2onnx caps orbax-checkpoint: not among our extras")
    model, params = model_of(kind)
    exported = export_functions(model, params, SHAPE, tmp_path / "out", format="onnx")
    assert all(file["largest_difference"] < 1e-4 for file in exported.manifest["files"].values())
    readme = (tmp_path / "out" / "README.txt").read_text()
    code = "\n".join(line[4:] for line in readme.split("without jaxae:")[1].splitlines())
    names = {}
    exec(code.replace('("', f'("{tmp_path / "out"}/'), names)
    np.testing.assert_allclose(names["z"], model.encode(params, names["x"]), atol=1e-5)


@needs_safetensors
def test_notes_say_what_the_encoder_sees(trained, tmp_path):
    run = jaxae.load_run(trained)
    run.use = {"task": "colorize", "symmetries": 2}
    run.inputs = run.inputs._replace(binarize=True)
    exported = exporting.export_run(run, tmp_path / "out", format="safetensors")
    grey, averages, binary = exported.manifest["notes"]
    assert "grey levels of the image in each of its channels" in grey
    assert "averages over 2 symmetries" in averages
    assert "black (0) or white (1)" in binary
    assert f"note: {grey}" in (tmp_path / "out" / "README.txt").read_text()


@needs_safetensors
@needs_flatbuffers
def test_the_command_exports_a_run(trained, tmp_path, capsys, one_batch):
    command.main(command.Config(run=str(trained), out=tmp_path / "out"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all("largest difference from the model" in line for line in lines[:2])
    run = jaxae.load_run(trained)
    z = stablehlo.read(tmp_path / "out" / "encoder.stablehlo")(np.zeros((2, 8, 8, 1)))
    np.testing.assert_allclose(z, run.encode(np.zeros((2, 8, 8, 1), np.float32)), atol=1e-6)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["dataset"] == "digits"
    assert manifest["code_mean"] == pytest.approx(run.code_mean.tolist())
    config = command.Config(run=str(trained), out=tmp_path / "w", format="safetensors")
    command.main(config)
    assert "weights.safetensors: " in capsys.readouterr().out
    with pytest.raises(ValueError, match="is not a run folder"):
        command.main(command.Config(run=str(tmp_path), out=tmp_path / "x"))
