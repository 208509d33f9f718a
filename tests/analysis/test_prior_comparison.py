"""Two-sample tests of codes against a prior."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import ks_2samp

import jaxae
from jaxae.analysis.prior_comparison import make_prior_test, prior_kernel

KEY = jax.random.key(0)
PRIOR = jaxae.priors.standard_normal(2)


def test_draws_of_the_prior_pass_and_other_codes_do_not():
    test = make_prior_test(PRIOR, 500, key=KEY, kernel=prior_kernel(PRIOR, KEY))
    random = np.random.default_rng(0)
    same = test(random.normal(size=(500, 2)).astype(np.float32))
    assert same["mmd_p_value"] > 0.02
    assert same["largest_ks"] < 0.1
    assert same["largest_ks_p_value"] > 0.02
    narrow = test(0.7 * random.normal(size=(500, 2)).astype(np.float32))
    for name in ("mmd", "largest_ks"):
        assert narrow[name] > narrow[f"{name}_of_the_prior_95"] > 0
        assert narrow[f"{name}_p_value"] < 0.06
    assert narrow["largest_ks"] > same["largest_ks"]


def test_largest_ks_is_that_of_scipy():
    codes = np.random.default_rng(1).normal(size=(80, 2)).astype(np.float32) + np.array([0, 1])
    test = make_prior_test(PRIOR, 80, key=KEY, kernel=prior_kernel(PRIOR, KEY), pairs=1)
    drawn = np.asarray(PRIOR.sample(jax.random.split(KEY)[0], 80))
    expected = max(ks_2samp(codes[:, i], drawn[:, i]).statistic for i in range(2))
    assert test(codes)["largest_ks"] == pytest.approx(expected)


def test_the_scale_of_the_kernel_is_that_of_the_prior():
    """A prior with another scale gives the same statistic for codes with that scale."""
    x, y = jnp.asarray(np.random.default_rng(2).normal(size=(2, 60, 2)), jnp.float32)
    wide = jaxae.priors.gaussian_mixture(10 * x, components=1)
    narrow = jaxae.priors.gaussian_mixture(x, components=1)
    found = [
        float(jaxae.distributions.mmd(s * x, s * y, prior_kernel(prior, KEY)))
        for s, prior in ((10.0, wide), (1.0, narrow))
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-3)
