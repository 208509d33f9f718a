"""The Inception network against torch, with random weights in place of the published ones."""

import re
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae.analysis.inception import FEATURES, fid_features
from jaxae.data import archives
from tests.data.precision import all_highest

# Features of torchvision's Inception3 (torch 2.13) with the changes of the FID's network: averages without
# the border, F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), and a maximum in Mixed_7c; with the
# weights below, and images resized by F.interpolate(x, (299, 299), mode="bilinear"):
#   model.fc = torch.nn.Identity(); model(2 * x - 1)[:, ::256]
TORCH = [
    [7.8124046, 0.1984307, 0.0742140, 0.0200180, 7.5158482, 6.0777593, 0.0, 1.0102160],
    [7.6365423, 0.2001747, 0.0783773, 0.0356709, 7.3944907, 6.0862794, 0.0, 0.9642399],
]


def draw(name, shape):
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("conv.weight"):
        return (generator.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
    if name.endswith(("running_var", "bn.weight")):
        return generator.uniform(0.5, 1.5, shape).astype(np.float32)
    return (0.1 * generator.normal(size=shape)).astype(np.float32)


@pytest.fixture(scope="module")
def weights():
    found = {}
    for line in (Path(__file__).parent / "inception_shapes.txt").read_text().splitlines():
        name, *shape = line.split()
        out, *rest = map(int, shape)
        found[f"{name}.conv.weight"] = draw(f"{name}.conv.weight", (out, *rest))
        for part in ("weight", "bias", "running_mean", "running_var"):
            found[f"{name}.bn.{part}"] = draw(f"{name}.bn.{part}", (out,))
    return found


@pytest.mark.slow
def test_features_equal_those_of_torch(weights, tmp_path):
    path = tmp_path / "inception.npz"
    np.savez(path, **weights)
    features = jax.jit(fid_features(path))
    x = np.random.default_rng(0).random((2, 40, 30, 3)).astype(np.float32)
    found = features(jnp.asarray(x))
    assert found.shape == (2, FEATURES)
    np.testing.assert_allclose(found[:, ::256], TORCH, rtol=1e-3, atol=1e-4)
    grey = jnp.asarray(x[..., :1])
    np.testing.assert_allclose(
        features(jnp.repeat(grey, 3, axis=-1)), fid_features(path)(grey), rtol=1e-3, atol=1e-4
    )
    data = np.round(255 * x).astype(np.uint8)
    np.testing.assert_allclose(features(data), features(jaxae.as_float(data)), rtol=1e-5)
    assert all_highest(features, x)
    with pytest.raises(ValueError, match="1 or 3 channels, got 2"):
        features(x[..., :2])


def test_weights_that_would_not_fit_the_memory(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros((1000, 1000)))
    monkeypatch.setattr(archives, "host_memory", lambda: 10**6)
    with pytest.raises(ValueError, match="a.npz cannot be read.*it would take 7.6 MiB of memory"):
        fid_features(tmp_path / "a.npz")


def test_bad_files(tmp_path, weights):
    text = tmp_path / "text.npz"
    text.write_text("no")
    other = tmp_path / "other.npz"
    np.savez(other, a=np.zeros(3))
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, a=np.array([{}], dtype=object))
    for path, message in (
        (tmp_path / "none.npz", "there is no file"),
        (text, "cannot be read"),
        (pickled, "cannot be read"),
        (other, "has no array Conv2d_1a_3x3.conv.weight"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            fid_features(path)
        assert "np.savez('inception.npz'" in str(caught.value)
    part = {name: value for name, value in weights.items() if "Mixed_6c.branch1x1" not in name}
    np.savez(tmp_path / "part.npz", **part)
    with pytest.raises(ValueError, match=re.escape("lack 'Mixed_6c.branch1x1.conv.weight'")):
        jax.eval_shape(fid_features(tmp_path / "part.npz"), jnp.zeros((1, 8, 8, 1)))
