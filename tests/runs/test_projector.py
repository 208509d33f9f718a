"""Files for the embedding projector, read back as it reads them."""

import json

import numpy as np
import pytest
from PIL import Image

from jaxae.runs import projector


def test_what_is_written_is_what_was_given(tmp_path):
    codes = np.random.default_rng(0).normal(size=(5, 3))
    images = np.zeros((5, 4, 6, 3), np.uint8)
    for i in range(5):
        images[i, ..., i % 3] = 50 * (i + 1)
    labels = np.array([3, 1, 4, 1, 5])
    projector.write_projector(tmp_path, codes, images, labels, name="VAE codes")
    np.testing.assert_allclose(np.loadtxt(tmp_path / "vectors.tsv"), codes, rtol=1e-5)
    rows = (tmp_path / "metadata.tsv").read_text().splitlines()
    assert rows[0] == "number\tclass"
    assert [int(row.split("\t")[1]) for row in rows[1:]] == labels.tolist()
    with Image.open(tmp_path / "sprite.png") as file:
        sprite = np.asarray(file)
    assert sprite.shape == (12, 18, 3)  # three by three
    for i in range(5):
        top, left = i // 3 * 4, i % 3 * 6
        np.testing.assert_array_equal(sprite[top : top + 4, left : left + 6], images[i])
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert 'tensor_name: "VAE codes"' in config
    assert "single_image_dim: 6 single_image_dim: 4" in config
    embedding = json.loads((tmp_path / "config.json").read_text())["embeddings"][0]
    assert embedding["tensorShape"] == [5, 3]
    assert embedding["sprite"]["singleImageDim"] == [6, 4]
    for key in ("tensorPath", "metadataPath"):
        assert (tmp_path / embedding[key]).exists()


def test_without_labels_there_is_one_column_and_no_header(tmp_path):
    projector.write_projector(tmp_path, np.ones((3, 2)), np.zeros((3, 2, 2, 1)))
    assert (tmp_path / "metadata.tsv").read_text().splitlines() == ["0", "1", "2"]


def test_a_sprite_is_no_larger_than_the_projector_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(projector, "SPRITE_SIZE", 10)
    images = np.zeros((9, 8, 8, 1))
    images[4] = 1
    projector.write_projector(tmp_path, np.ones((9, 2)), images)
    with Image.open(tmp_path / "sprite.png") as file:
        sprite = np.asarray(file)
    assert sprite.shape == (9, 9, 3)
    assert sprite[3:6, 3:6].min() == 255
    assert sprite.astype(int).sum() == 9 * 3 * 255
    with pytest.raises(ValueError, match="at most 100 images"):
        projector.write_projector(tmp_path, np.ones((101, 2)), np.zeros((101, 1, 1, 1)))


@pytest.mark.parametrize(
    ("codes", "images", "labels"), [(9, 4, None), (4, 9, None), (4, 4, 3), (0, 0, None)]
)
def test_each_code_has_an_image_and_a_label(tmp_path, codes, images, labels):
    given = None if labels is None else np.zeros(labels, int)
    with pytest.raises(ValueError, match=f"there are {codes} codes, {images} images"):
        projector.write_projector(tmp_path, np.ones((codes, 2)), np.zeros((images, 2, 2, 1)), given)
    assert not list(tmp_path.iterdir())


def test_labels_stay_in_their_cells(tmp_path):
    labels = np.array(["a\tb", "c\nd"])
    projector.write_projector(tmp_path, np.ones((2, 2)), np.zeros((2, 2, 2, 1)), labels)
    rows = (tmp_path / "metadata.tsv").read_text().splitlines()
    assert rows[1:] == ["0\ta b", "1\tc d"]
    with pytest.raises(ValueError, match="not finite"):
        projector.write_projector(tmp_path, np.full((2, 2), np.nan), np.zeros((2, 2, 2, 1)))


def test_labels_with_letters_of_any_kind(tmp_path):
    """They are UTF-8 in every locale; half of a letter, as a name of a file may have it, is replaced."""
    labels = np.array(["größe", "gr\udcf6"])
    projector.write_projector(tmp_path, np.ones((2, 2)), np.zeros((2, 2, 2, 1)), labels)
    rows = (tmp_path / "metadata.tsv").read_text("utf-8").splitlines()
    assert rows[1:] == ["0\tgröße", "1\tgr?"]
