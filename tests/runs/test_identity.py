"""What decides whether a folder belongs to a run."""

import numpy as np
import pytest

from jaxae.data.streams import Stream
from jaxae.runs.identity import compare, fingerprint

IMAGES = np.arange(300, dtype=np.uint8).reshape(100, 3, 1, 1)
DATA = {"training images": fingerprint(IMAGES), "test labels": "4-00000001-00000002"}


def test_the_fingerprint_depends_on_the_data():
    other = IMAGES.copy()
    other[0] += 1
    assert fingerprint(IMAGES) == fingerprint(IMAGES.copy())
    assert len({fingerprint(IMAGES), fingerprint(other), fingerprint(IMAGES[:99])}) == 3


@pytest.mark.parametrize("number", [1, 57, 99])
def test_every_image_of_an_array_counts(number):
    many = np.zeros((1000, 2, 2, 1), np.uint8)
    other = many.copy()
    other[number] = 1
    assert fingerprint(many) != fingerprint(other)


def test_a_stream_has_the_same_data_as_its_array():
    stream = Stream(list(IMAGES), lambda image: image)
    before, now = ({"data": {"training images": fingerprint(x)}} for x in (IMAGES, stream))
    assert not compare(before, now, {}).differences
    assert not compare(now, before, {}).differences


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"training images": "99x3x1x1-1"},
            "training images have changed (100x3x1x1 before, 99x3x1x1 now)",
        ),
        ({"training images": "100x3x1x1-0"}, "the training images have changed (same shape)"),
        ({"test labels": "4-00000001-00000003"}, "the test labels have changed (same shape)"),
    ],
)
def test_the_data_that_differ_are_named(change, message):
    found = compare({"data": DATA}, {"data": DATA | change}, {}).differences
    assert message in found["data"]


def test_names_of_the_same_data_do_not_count():
    before = {"dataset": "a", "image_size": None, "data": DATA}
    now = {"dataset": "/b/a", "image_size": 3, "data": DATA}
    assert not compare(before, now, {}).differences
    other = now | {"data": {"training images": "5x3x1x1-0"}}
    assert list(compare(before, other, {}).differences) == ["dataset", "image_size", "data"]


def test_older_versions_recorded_less():
    """None for a default that depends on the data, and the first checksum of the training images."""
    before = {"batch_size": None, "data": fingerprint(IMAGES).rsplit("-", 1)[0]}
    now = {"batch_size": 128, "data": DATA}
    assert not compare(before, now, {"batch_size": 128}).differences
    assert list(compare(before, now, {"batch_size": None}).differences) == ["batch_size"]
    assert list(
        compare(before | {"data": "100x3x1x1-0"}, now, {"batch_size": 128}).differences
    ) == ["data"]
