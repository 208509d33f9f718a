"""Schedules of weights."""

import jax
import numpy as np
import pytest

import jaxae
from tests.cases import SHAPE, images, vae

KEY = jax.random.key(0)


def test_beta_schedules():
    assert jaxae.objectives.beta_schedule(2.0, 100) == 2.0
    rise = jaxae.objectives.beta_schedule(2.0, 100, warmup=0.1)
    np.testing.assert_allclose([rise(step) for step in (0, 5, 10, 99)], [0, 1, 2, 2])
    cyclical = jaxae.objectives.beta_schedule(1.0, 90, warmup=0.5, cycles=3)
    values = [float(cyclical(step)) for step in range(90)]
    np.testing.assert_allclose(values[:30], np.minimum(np.arange(30) / 15, 1), atol=1e-6)
    np.testing.assert_allclose(values[:30] * 3, values, atol=1e-6)
    model, x = vae(beta=rise), images(SHAPE)
    params = model.init(KEY, x)
    at = lambda step: model.loss(params, KEY, x, step=step)
    np.testing.assert_allclose(at(0).loss, at(0).terms["distortion"])
    np.testing.assert_allclose(
        at(10).loss, at(0).terms["distortion"] + 2 * at(0).terms["rate"], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warmup": 1.5}, "in \\[0, 1\\]"),
        ({"cycles": 2}, "cycles"),
        ({"warmup": 0.5, "cycles": 0}, "positive"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        jaxae.objectives.beta_schedule(1.0, 10, **options)
