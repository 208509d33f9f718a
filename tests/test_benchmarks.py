"""The benchmarks train what they say, and count what they compute."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import jacobian, ours, workloads


@pytest.mark.parametrize("name", workloads.WORKLOADS)
def test_every_workload_is_a_model_of_its_images(name):
    workload = workloads.WORKLOADS[name]
    model = ours.model(workload, name)
    x = jnp.zeros((2, *workload.shape))
    params = jax.eval_shape(model.init, jax.random.key(0), x)
    assert jax.eval_shape(model.encode, params, x).shape == (2, workload.code)
    out = jax.eval_shape(model.loss, params, jax.random.key(0), x)
    assert out.loss.shape == (2,)
    assert ("contraction" in out.terms) == (workload.kind == "contractive")


@pytest.mark.parametrize("name", ["mlp-vae", "deep-ae"])
def test_operations_are_those_that_xla_counts(name):
    workload = workloads.WORKLOADS[name]
    model = ours.model(workload, name)
    x = jnp.zeros((workload.batch, *workload.shape))
    params = jax.eval_shape(model.init, jax.random.key(0), x)
    loss = lambda params: jnp.mean(model.loss(params, jax.random.key(0), x).loss)
    counted = jax.jit(jax.grad(loss)).lower(params).cost_analysis()["flops"] / workload.batch
    # XLA counts the element-wise operations as well.
    assert workload.flops() < counted < 1.1 * workload.flops()


def test_a_run_reports_its_speed():
    workload = workloads.WORKLOADS["mlp-vae"]._replace(images=32, batch=16)
    assert ours.trainer(workload, "mlp-vae", np.zeros((32, 28, 28, 1), np.uint8))() > 0


def test_a_row_that_is_not_there():
    command = [sys.executable, "-m", "benchmarks.throughput", "--rows", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no row 'nothing'; there are mlp-vae" in done.stdout + done.stderr


@pytest.mark.parametrize("mode", jacobian.JAXAE)
@pytest.mark.parametrize("hidden", [0, 6])
def test_every_mode_of_the_jacobian_is_timed(mode, hidden):
    assert jacobian.jaxae_step(mode, inputs=5, hidden=hidden, code=3)() > 0
