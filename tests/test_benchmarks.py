"""The benchmarks: what they train, what they count, and how they compare checkouts."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import inputs, jacobian, ours, workloads
from benchmarks.contenders import Contender, take_turns
from benchmarks.input_cases import Expected, Truth, pictures, problem, statistics


@pytest.mark.parametrize("name", workloads.WORKLOADS)
def test_every_workload_is_a_model_of_its_images(name):
    workload = workloads.WORKLOADS[name]
    model = ours.model(workload, name)
    x = jnp.zeros((2, *workload.shape))
    params = jax.eval_shape(model.init, jax.random.key(0), x)
    assert jax.eval_shape(model.encode, params, x).shape == (2, workload.latent_dim)
    out = jax.eval_shape(model.loss, params, jax.random.key(0), x)
    assert out.loss.shape == (2,)
    assert ("contraction" in out.terms) == (workload.kind == "contractive")


@pytest.mark.parametrize("name", ["mlp-vae", "deep-ae"])
def test_flops_agree_with_the_count_of_xla(name):
    workload = workloads.WORKLOADS[name]
    model = ours.model(workload, name)
    x = jnp.zeros((workload.batch, *workload.shape))
    params = jax.eval_shape(model.init, jax.random.key(0), x)
    loss = lambda params: jnp.mean(model.loss(params, jax.random.key(0), x).loss)
    counted = jax.jit(jax.grad(loss)).lower(params).cost_analysis()["flops"] / workload.batch
    # XLA also counts element-wise operations.
    assert workload.flops() < counted < 1.1 * workload.flops()


def test_a_run_reports_its_speed():
    workload = workloads.WORKLOADS["mlp-vae"]._replace(images=32, batch=16)
    assert ours.trainer(workload, "mlp-vae", np.zeros((32, 28, 28, 1), np.uint8))() > 0


def throughput(*flags):
    command = [sys.executable, "-m", "benchmarks.throughput", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_an_unknown_row_is_refused():
    code, output = throughput("--rows", "nothing")
    assert code == 2
    assert "there is no row 'nothing'; there are mlp-vae" in output


def test_a_tree_without_benchmarks_is_refused(tmp_path):
    code, output = throughput("--rows", "mlp-vae", "--tree", str(tmp_path))
    assert code == 2
    assert "is no checkout" in output


WORKER = """
import json, sys
import jaxae
print(json.dumps({"ready": True}), flush=True)
for _ in sys.stdin:
    print(json.dumps({"speed": jaxae.SPEED, "peak_mib": 1.0}), flush=True)
"""


def test_a_contender_of_another_tree_imports_the_packages_of_that_tree(tmp_path):
    for name, speed in (("old", 3.0), ("new", 4.0)):
        (tmp_path / name / "benchmarks").mkdir(parents=True)
        (tmp_path / name / "benchmarks" / "worker.py").write_text(WORKER)
        (tmp_path / name / "jaxae.py").write_text(f"SPEED = {speed}")
    with (
        Contender("jaxae", "mlp-vae", tmp_path / "old") as old,
        Contender("jaxae", "mlp-vae", tmp_path / "new") as new,
    ):
        take_turns([old, new], 3)
        assert old.speeds == [3.0] * 3
        assert new.speeds == [4.0] * 3
        assert (old.name, new.name) == ("jaxae, old", "jaxae, new")


def test_rounds_alternate_the_order_of_contenders():
    class Recorder:
        def __init__(self, name):
            self.name = name

        def run(self):
            order.append(self.name)

    order = []
    take_turns([Recorder("a"), Recorder("b")], 3)
    assert "".join(order) == "abbaab"


@pytest.mark.parametrize("mode", jacobian.JAXAE)
@pytest.mark.parametrize("hidden", [0, 6])
def test_every_mode_of_the_jacobian_has_a_time(mode, hidden):
    assert jacobian.jaxae_step(mode, inputs=5, hidden=hidden, code=3)() > 0


def outcome(images, **groups):
    found = {name.replace("_", ":"): statistics(part) for name, part in groups.items()}
    return {"shape": images.shape[1:], "groups": {"all": statistics(images)} | found}


def test_an_input_is_right_or_said_or_neither():
    images = pictures(20, 3)
    truth = Truth({"all": images}, (8, 8, 3))
    right, words = outcome(images), ("--channels first",)
    assert problem(Expected((), truth), right, "") == ""
    assert problem(Expected((), truth, words), None, "error: give --channels first") == ""
    assert problem(Expected((), None, words), None, "error: no").startswith("refused")
    assert problem(Expected((), None, words), right, "").startswith("silent")
    assert problem(Expected((), truth), None, "error: no").startswith("refused")
    assert problem(Expected((), truth, words, both=True), right, "").startswith("silent")
    assert problem(Expected((), truth), right, "Traceback ...").startswith("traceback")
    for wrong in (images[:-1], 255 - images, images.swapaxes(1, 2), images[..., ::-1], images // 2):
        assert problem(Expected((), truth), outcome(wrong), "").startswith("silent")
    a, b = images[:5], images[5:]
    named = Truth({"class:2": a, "class:10": b}, (8, 8, 3))
    assert problem(Expected((), named), outcome(images, class_2=a, class_10=b), "") == ""
    for wrong in ({"class_10": b, "class_2": a}, {"class_2": b, "class_10": a}, {}):
        assert problem(Expected((), named), outcome(images, **wrong), "").startswith("silent")


def test_there_are_inputs_of_all_kinds():
    assert len(inputs.CASES) > 100


def test_inputs_are_read_in_processes_of_their_own():
    command = [sys.executable, "-m", "benchmarks.inputs", "--only", "channels first, grey"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "correct or reported: 2 of 2, silent: 0, tracebacks: 0" in done.stdout, done.stderr
    assert done.returncode == 0
