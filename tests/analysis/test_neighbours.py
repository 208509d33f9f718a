"""Precision, recall and nearest neighbours, against brute force."""

import numpy as np
import pytest

import jaxae


def brute_force(real, generated, k):
    def radii(points):
        d = np.linalg.norm(points[:, None] - points, axis=-1)
        return np.sort(d, axis=1)[:, k]

    def inside(points, centres):
        d = np.linalg.norm(points[:, None] - centres, axis=-1)
        return (d <= radii(centres)).any(axis=1).mean()

    return inside(generated, real), inside(real, generated)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_by_brute_force(k):
    random = np.random.default_rng(0)
    real = random.normal(size=(120, 3)).astype(np.float32)
    generated = (random.normal(size=(80, 3)) * 0.7 + 0.5).astype(np.float32)
    found = jaxae.analysis.precision_recall(real, generated, neighbours=k)
    np.testing.assert_allclose(found, brute_force(real, generated, k), atol=1e-9)
    assert 0.1 < min(found) < max(found)


def test_precision_and_recall_of_gaussians():
    """Equal distributions, one mode out of two, and distributions far apart."""
    random = np.random.default_rng(1)

    def around(centre, n):
        return random.normal(size=(n, 2)).astype(np.float32) + centre

    real = np.concatenate([around(-10, 400), around(10, 400)])
    both = jaxae.analysis.precision_recall(
        real, np.concatenate([around(-10, 400), around(10, 400)])
    )
    assert min(both) > 0.9
    one = jaxae.analysis.precision_recall(real, around(-10, 800))
    assert one.precision > 0.9
    assert one.recall == pytest.approx(0.5, abs=0.06)
    blurred = jaxae.analysis.precision_recall(real, np.float32(40) * around(0, 800))
    assert blurred.precision < 0.05
    assert jaxae.analysis.precision_recall(real, around(1000, 800)) == (0, 0)


def test_precision_and_recall_of_equal_points():
    real = np.zeros((4, 2), np.float32)
    assert jaxae.analysis.precision_recall(real, real) == (1, 1)
    assert jaxae.analysis.precision_recall(real, real + 1) == (0, 0)


def test_nearest_distances():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(30, 5)), random.normal(size=(50, 5))
    expected = np.linalg.norm(a[:, None] - b, axis=-1).min(1)
    np.testing.assert_allclose(jaxae.analysis.nearest(a, b).distance, expected, rtol=1e-6)


def features(seed, n, d=4, scale=1.0, shift=0.0):
    generator = np.random.default_rng(seed)
    mix = np.random.default_rng(100 + seed).normal(size=(d, d))
    return scale * generator.normal(size=(n, d)) @ mix + shift


def test_nearest_by_loops():
    x, y = features(0, 6), features(1, 11)
    found = jaxae.analysis.nearest(x, y)
    for i, point in enumerate(x):
        distances = [np.linalg.norm(point - other) for other in y]
        assert found.which[i] == np.argmin(distances)
        assert found.distance[i] == pytest.approx(min(distances), rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: jaxae.analysis.precision_recall(x[:3], x), "3 real images"),
        (
            lambda x: jaxae.analysis.precision_recall(x, x[:2]),
            "2 generated images have no neighbour number 3",
        ),
        (lambda x: jaxae.analysis.precision_recall(x, x, neighbours=0), "real images"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32))


@pytest.mark.parametrize("seed", range(10))
def test_precision_and_recall_of_a_constant_set(seed):
    """Distances by an expanded square are not exactly zero, and the balls have radius zero."""
    point = np.random.default_rng(seed).normal(size=(1, 64))
    for dtype in (np.float32, np.float64):
        points = np.repeat(point, 50, axis=0).astype(dtype)
        assert jaxae.analysis.precision_recall(points, points) == (1, 1)
        assert jaxae.analysis.precision_recall(points, points[:25]) == (1, 1)
        assert (jaxae.analysis.nearest(points, points).distance == 0).all()


def test_neighbours_do_not_depend_on_an_offset():
    random = np.random.default_rng(0)
    a, b = (np.round(random.normal(size=(n, 3)) * 2**10) / 2**10 for n in (30, 40))
    far = 2.0**30
    near = jaxae.analysis.nearest(a, b)
    moved = jaxae.analysis.nearest(a + far, b + far)
    np.testing.assert_array_equal(moved.which, near.which)
    np.testing.assert_allclose(moved.distance, near.distance, rtol=1e-9)
    expected = jaxae.analysis.precision_recall(a, b)
    assert jaxae.analysis.precision_recall(a + far, b + far) == expected


def test_neighbours_in_blocks(monkeypatch):
    random = np.random.default_rng(0)
    a, b = random.normal(size=(30, 5)), random.normal(size=(50, 5))
    whole = jaxae.analysis.nearest(a, b), jaxae.analysis.precision_recall(a, b)
    monkeypatch.setattr(jaxae.analysis.points, "PAIRS", 150)
    found = jaxae.analysis.nearest(a, b), jaxae.analysis.precision_recall(a, b)
    np.testing.assert_array_equal(found[0].which, whole[0].which)
    np.testing.assert_allclose(found[0].distance, whole[0].distance)
    assert found[1] == whole[1]


def test_a_copy_is_nearest():
    random = np.random.default_rng(0)
    train = random.integers(0, 256, (100, 784), np.uint8)
    found = jaxae.analysis.nearest(train[[7, 3]], train)
    assert found.which.tolist() == [7, 3]
    assert found.distance.tolist() == [0, 0]


def test_bytes_are_divided_by_255():
    data = np.random.default_rng(0).integers(0, 256, (20, 9), np.uint8)
    floats = data / 255.0
    assert jaxae.analysis.precision_recall(data, floats) == (1, 1)
    np.testing.assert_allclose(jaxae.analysis.nearest(data, floats).distance, 0, atol=1e-7)
    few = data[:, :3]
    assert jaxae.analysis.frechet_distance(few, few / 255.0) == pytest.approx(0, abs=1e-9)
    expected = jaxae.analysis.kernel_distance(floats[:10], floats[10:])
    assert jaxae.analysis.kernel_distance(data[:10], floats[10:]).mean == pytest.approx(
        expected.mean
    )


@pytest.mark.parametrize(
    "measure",
    [
        jaxae.analysis.precision_recall,
        jaxae.analysis.nearest,
        jaxae.analysis.frechet_distance,
        jaxae.analysis.kernel_distance,
    ],
)
def test_features_that_do_not_match(measure):
    x = np.zeros((9, 3))
    with pytest.raises(ValueError, match=r"\(9, 3\) and .*\(9, 2\)"):
        measure(x, x[:, :2])
    with pytest.raises(ValueError, match="floats or bytes .uint8., not int64"):
        measure(x.astype(int), x)


def test_no_other_points():
    with pytest.raises(ValueError, match="no other points"):
        jaxae.analysis.nearest(np.zeros((2, 3)), np.zeros((0, 3)))


@pytest.mark.parametrize("seed", range(5))
def test_balls_of_radius_zero(seed):
    """Each point occurs four times, so that its third neighbour is a copy."""
    points = np.random.default_rng(seed).normal(size=(20, 64))
    real, generated = np.repeat(points, 4, axis=0), np.repeat(points[:10], 4, axis=0)
    assert jaxae.analysis.precision_recall(real, generated) == (1, 0.5)


def test_several_nearest_points_are_sorted_and_exact():
    random = np.random.default_rng(3)
    # A common offset, whose digits the expanded square loses, and points that occur twice.
    others = np.concatenate([random.normal(size=(40, 6))] * 2) + 1e6
    points = others[:5] + random.normal(scale=1e-3, size=(5, 6))
    found = jaxae.analysis.k_nearest(points, others, 7)
    every = np.linalg.norm(points[:, None] - others[None], axis=-1)
    np.testing.assert_array_equal(found.which, np.argsort(every, axis=1, kind="stable")[:, :7])
    np.testing.assert_allclose(found.distance, np.sort(every, axis=1)[:, :7], rtol=1e-12)
    one = jaxae.analysis.k_nearest(points, others, 1)
    np.testing.assert_array_equal(one.which[:, 0], jaxae.analysis.nearest(points, others).which)
    for k in (0, 81):
        with pytest.raises(ValueError, match="k must be from 1 to the number of other points, 80"):
            jaxae.analysis.k_nearest(points, others, k)
