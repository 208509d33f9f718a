"""How commands start: scripts, devices, consoles, and runs that are trained longer."""

import dataclasses
import importlib
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from experiments import autoencoder, vae
from jaxae.runs.command import command as run_command
from jaxae.runs.folder import read_config
from jaxae.runtime import devices, processes
from tests.experiments.running import ROOT, config, lines

UNTIMED = ("seconds", "images_per_second", "compile_seconds")


def start(*arguments, cwd, **variables):
    """The exit code and the errors of a Python process."""
    environment = os.environ | {"PYTHONPATH": ""} | variables
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("script", ["vae.py", "translation.py"])
def test_a_script_starts_from_any_folder(script, tmp_path):
    path = ROOT / "experiments" / script
    code, errors = start(path, "--seed", "-1", cwd=tmp_path)
    assert (code, errors) == (2, "error: --seed must be in [0, 2**32), got -1\n")


@pytest.mark.parametrize("platform", ["cuda", "nonsense"])
def test_a_device_that_is_not_there_is_named(platform):
    code, errors = start("-m", "experiments.vae", cwd=ROOT, JAX_PLATFORMS=platform)
    assert code == 2
    assert errors.count("\n") == 1
    assert f"JAX_PLATFORMS={platform}" in errors


def test_a_missing_gpu_plugin_is_named_at_import(monkeypatch):
    monkeypatch.setattr(devices, "_platforms", lambda: "cuda,gpu")
    monkeypatch.setattr(devices.importlib.metadata, "entry_points", lambda group: ())
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="JAX_PLATFORMS=cuda,gpu .*without its GPU plugin"):
        devices.check_platforms()
    monkeypatch.setattr(devices, "_platforms", lambda: "cuda,cpu")
    devices.check_platforms()


def test_a_process_that_is_spawned_does_not_run_the_script(monkeypatch):
    import multiprocessing.spawn

    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__spec__", None)
    monkeypatch.setattr(main, "__file__", "script.py", raising=False)
    main_path = "init_main_from_path"
    assert main_path in multiprocessing.spawn.get_preparation_data("one")
    with processes.without_main():
        assert main_path not in multiprocessing.spawn.get_preparation_data("one")
    assert main.__file__ == "script.py"


SCRIPT = """
import jax, numpy as np, optax, jaxae
stream = jaxae.Stream(range(32), lambda i: np.full((2, 2, 1), i, np.uint8))
model = jaxae.autoencoder(jaxae.networks.mlp_encoder(1, ()), jaxae.networks.mlp_decoder((2, 2, 1), ()))
jaxae.fit(model, stream, optimizer=optax.adam(1e-3), epochs=1, batch_size=16, key=jax.random.key(0),
          workers=2)
print("trained")
"""


@pytest.mark.slow
def test_workers_need_no_main_guard(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "trained\n"
    assert "Traceback" not in done.stderr


def test_a_console_that_lacks_letters_gets_others(tmp_path, monkeypatch):
    outputs = [io.BytesIO(), io.BytesIO()]
    for name, output in zip(("stdout", "stderr"), outputs, strict=True):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(output, "ascii"))
    monkeypatch.setattr(sys, "argv", ["vae", "--run-dir", "東"])
    run_command(lambda config: print(config.run_dir, "Süß"), vae.Config, "")
    sys.stdout.flush()
    assert outputs[0].getvalue() == b"? S??\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
    ],
    ids=["locale", "console"],
)
def test_a_folder_whose_name_the_locale_lacks(variables, tmp_path):
    folder = tmp_path / "größe $x_$ 東"
    for name in ("Öl", "$5", "西"):
        (folder / name).mkdir(parents=True)
        for i in range(10):
            Image.fromarray(np.full((4, 4), 20 * i, np.uint8)).save(folder / name / f"{i}-ü.png")
    arguments = ["--dataset", folder, "--epochs", 1, "--code", 2, "--run-dir", tmp_path / "run"]
    code, errors = start("-m", "experiments.autoencoder", *arguments, cwd=ROOT, **variables)
    assert code == 0, errors
    assert "Warning" not in errors
    assert "Traceback" not in errors
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert len(set(results["classes"])) == 3


def results(module, folder, tmp_path, epochs, **options):
    c = config(module, tmp_path, epochs=epochs, schedule="constant", **options)
    c = dataclasses.replace(c, run_dir=str(tmp_path / folder))
    return {k: v for k, v in module.main(c).items() if k.rpartition("/")[2] not in UNTIMED}


@pytest.mark.slow
def test_a_run_that_is_trained_longer_is_the_run_of_all_epochs(tmp_path):
    options = {"nll_samples": 2, "warmup_steps": 5, "weight_decay": 1e-3, "dropout": 0.1}
    whole = results(vae, "whole", tmp_path, 3, **options)
    assert results(vae, "longer", tmp_path, 1, **options) != whole
    assert results(vae, "longer", tmp_path, 3, **options) == whole
    assert lines(tmp_path / "longer") == lines(tmp_path / "whole")
    recorded = [
        json.loads((tmp_path / name / "config.json").read_text()) for name in ("longer", "whole")
    ]
    assert recorded[0]["config"] == recorded[1]["config"]
    assert recorded[0]["recipe"] == recorded[1]["recipe"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"schedule": "cosine"}, "cosine schedule"),
        ({"beta_warmup": 0.5}, "--beta-warmup is a fraction"),
        ({"beta_warmup": 0.5, "cycles": 2}, "--beta-warmup is a fraction"),
        ({"patience": 1}, "--patience has decided"),
        ({"warmup_steps": 100}, "--warmup-steps was cut"),
    ],
    ids=str,
)
def test_what_depends_on_the_number_of_epochs_is_not_trained_longer(options, reason, tmp_path):
    from experiments.shared import datasets, running

    fixed = {"schedule": "constant"} | options
    c = config(vae, tmp_path, epochs=1, **fixed)
    data = datasets.load(c)
    running.open_run(c, data, "vae")
    with pytest.raises(ValueError, match=f"cannot be trained longer.*{reason}"):
        running.open_run(dataclasses.replace(c, epochs=2), data, "vae")


LONGER = {"vae", "autoencoder", "denoising", "compose"}
"""The experiments in which the number of epochs has no other effect than the length of the training."""


@pytest.mark.parametrize("name", [*sorted(LONGER), "clustering", "adversarial", "dropout", "gan"])
def test_only_some_experiments_are_trained_longer(name, tmp_path):
    from experiments.shared import datasets, running

    module = importlib.import_module(f"experiments.{name}")
    options = {"dataset": "digits", "schedule": "constant", "run_dir": str(tmp_path)}
    shorter = module.Config(**options, epochs=1, warmup_steps=0)
    longer = dataclasses.replace(shorter, epochs=2)
    data = datasets.load(shorter)
    running.open_run(shorter, data, name)
    if name in LONGER:
        running.open_run(longer, data, name)
        assert read_config(tmp_path)["config"]["epochs"] == 2
    else:
        with pytest.raises(ValueError, match="cannot be trained longer.*other parts depend"):
            running.open_run(longer, data, name)


@pytest.mark.slow
def test_a_sweep_that_is_trained_longer_is_the_sweep_of_all_epochs(tmp_path):
    options = {"sweep_code": (1, 2), "code": autoencoder.Config.code, "warmup_steps": 5}
    whole = results(autoencoder, "whole", tmp_path, 2, **options)
    assert results(autoencoder, "longer", tmp_path, 1, **options) != whole
    assert results(autoencoder, "longer", tmp_path, 2, **options) == whole
    for code in (1, 2):
        both = [lines(tmp_path / folder / f"code-{code}") for folder in ("longer", "whole")]
        assert both[0] == both[1]


def test_the_values_that_are_taken_for_none_are_the_same_run(tmp_path):
    from experiments.shared import datasets, running

    plain = autoencoder.Config(dataset="digits", run_dir=str(tmp_path / "run"))
    data = datasets.load(plain)
    plan = autoencoder.make_plan(plain, data)
    running.open_run(plain, data, "autoencoder", plan=plan)
    same = dataclasses.replace(plain, batch_size=128, hidden=(400,), likelihood="bernoulli")
    running.open_run(same, data, "autoencoder", plan=plan)
    other = data._replace(test=np.zeros_like(data.test))
    with pytest.raises(ValueError, match=r"the test images have changed \(same shape\); use"):
        running.open_run(plain, other, "autoencoder", plan=plan)
