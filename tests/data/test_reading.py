"""Array files and folders: what is read from them, and the messages for bad ones."""

import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

import jaxae
from jaxae.data.messages import DataWarning
from tests.data.files import grey, rows, write


def test_any_number_of_channels(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.repeat(grey()[..., None], 5, axis=-1))
    assert jaxae.load(tmp_path / "a.npz").train.images.shape == (16, 6, 5, 5)


def test_a_folder_of_images(tmp_path):
    for i, array in enumerate(grey(10)):
        write(tmp_path, f"{i}.png", array)
    (tmp_path / "notes.txt").write_text("not an image")
    write(tmp_path, ".hidden.png", grey(1)[0])
    splits = jaxae.load(tmp_path)
    found = [row for split in splits for row in rows(split.images)]
    assert sorted(found) == sorted(rows(grey(10)))
    assert splits.train.labels is None


def test_a_subfolder_for_each_split_and_class(tmp_path):
    for split, n in (("train", 20), ("test", 4)):
        for i in range(n):
            write(tmp_path, f"{split}/{'cat' if i % 2 else 'ant'}/{i}.png", grey(n)[i])
    splits = jaxae.load(tmp_path)
    assert [len(split.images) for split in splits] == [18, 2, 4]
    assert splits.test.labels.tolist() == [0, 0, 1, 1]


def test_grey_images_among_colour_images_become_colour(tmp_path):
    write(tmp_path, "a.png", grey(1)[0])
    write(tmp_path, "b.png", np.repeat(grey(1)[0][..., None], 3, axis=-1))
    for i in range(8):
        write(tmp_path, f"c{i}.jpg", grey(1)[0])
    assert jaxae.load(tmp_path).train.images.shape[1:] == (6, 5, 3)


def test_sixteen_bits_palettes_and_transparency(tmp_path):
    write(tmp_path / "deep", "a.png", np.full((4, 4), 257 * 9, np.uint16))
    assert (images_in(tmp_path / "deep") == 9).all()
    picture = Image.new("RGB", (4, 4), (255, 0, 0)).convert("P")
    (tmp_path / "palette").mkdir()
    picture.save(tmp_path / "palette" / "a.png")
    assert images_in(tmp_path / "palette")[0, 0, 0].tolist() == [255, 0, 0]
    (tmp_path / "alpha").mkdir()
    Image.new("RGBA", (4, 4), (0, 255, 0, 128)).save(tmp_path / "alpha" / "a.png")
    with pytest.warns(DataWarning, match=r"1 file with transparent pixels \(a.png\)"):
        assert images_in(tmp_path / "alpha").shape == (1, 4, 4, 3)
    Image.new("RGBA", (4, 4), (0, 255, 0, 255)).save(tmp_path / "alpha" / "a.png")
    assert images_in(tmp_path / "alpha").shape == (1, 4, 4, 3)


def images_in(folder):
    from jaxae.data.folders import from_folder

    return from_folder(folder, None)["train"].images


def test_images_of_different_sizes(tmp_path):
    for i in range(5):
        write(tmp_path, f"a{i}.png", grey(1, (6, 5))[0])
        write(tmp_path, f"b{i}.png", grey(1, (9, 5))[0])
    with pytest.raises(
        ValueError,
        match=r"a0.png is 6 x 5 x 1 and .*b0.png is 9 x 5 x 1; give an image size.*--image-size",
    ):
        jaxae.load(tmp_path)
    assert jaxae.load(tmp_path, image_size=4).train.images.shape == (8, 4, 4, 1)


def test_the_error_names_a_corrupt_image(tmp_path):
    for i in range(4):
        path = write(tmp_path, f"{i}.png", grey(1, (40, 40))[0])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"3\.png cannot be read as an image"):
        jaxae.load(tmp_path)
    path.write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"3\.png cannot be read as an image"):
        jaxae.load(tmp_path)


def test_class_numbers_agree_between_splits(tmp_path):
    """Even if a split has no image of the class."""
    for split, classes in (("train", "abc"), ("test", "bc"), ("validation", "c")):
        for i, name in enumerate(classes):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for j in range(2):
                value = {"a": 10, "b": 100, "c": 200}[name] + j + i
                Image.fromarray(np.full((4, 4), value, np.uint8)).save(folder / f"{j}.png")
    for part in jaxae.load(tmp_path):
        expected = np.digitize(part.images[:, 0, 0, 0], [50, 150])
        np.testing.assert_array_equal(part.labels, expected)


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="there is no image"):
        jaxae.load(tmp_path)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 4, 4), np.uint8), "is empty"),
        (np.zeros((5, 0, 4), np.uint8), "is empty"),
        (np.zeros((5, 4), np.uint8), "has shape"),
        (np.zeros((5, 4, 4), np.int64), "has type int64"),
        (np.zeros((5, 4, 4), np.complex64), "has type complex64"),
        (np.full((5, 4, 4), np.nan), "not finite"),
        (np.full((5, 4, 4), np.inf), "not finite"),
        (np.full((5, 4, 4), 1.5), r"from 1.5 to 1.5; scale the images to \[0, 1\]"),
        (np.full((5, 4, 4), -0.1), "from -0.1"),
        (np.array([["a"]]), "has shape"),
    ],
    ids=lambda value: None if isinstance(value, np.ndarray) else value,
)
def test_bad_arrays(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=message) as caught:
        jaxae.load(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)
    assert "a.npy" in str(caught.value)


def test_bad_files(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(ValueError, match="there is no file"):
        jaxae.load(path)
    path.write_bytes(b"PK\x03\x04 truncated")
    with pytest.raises(ValueError, match="cannot be read"):
        jaxae.load(path)
    np.savez(path, pictures=grey())
    with pytest.raises(ValueError, match="no array 'images', only pictures"):
        jaxae.load(path)
    np.savez(path, images=grey(20), labels=np.zeros(19, int))
    with pytest.raises(ValueError, match="20 images, but labels of shape"):
        jaxae.load(path)
    np.savez(path, images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="cannot be read"):
        jaxae.load(path)
    whole = tmp_path / "b.npy"
    np.save(whole, grey())
    whole.write_bytes(whole.read_bytes()[:-50])
    with pytest.raises(ValueError, match="cannot be read"):
        jaxae.load(whole)
    # A header that promises more than there is must not take the memory for it.
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999, 9, 9)}\n"
    whole.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with pytest.raises(ValueError, match="cannot be read"):
        jaxae.load(whole)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", b"nonsense")
    with pytest.raises(ValueError, match="cannot be read"):
        jaxae.load(path)


def test_attributes_in_a_file(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 4), np.uint8)
    images[:, 0, 0] = np.arange(50)
    attributes = np.stack([np.arange(50) % 2, np.arange(50) < 20], axis=1)
    np.savez(
        tmp_path / "a.npz", images=images, attributes=attributes, attribute_names=["Odd", "Low"]
    )
    splits = jaxae.load(tmp_path / "a.npz")
    for part in splits:
        number = part.images[:, 0, 0, 0]
        np.testing.assert_array_equal(part.attributes["Odd"], number % 2 == 1)
        np.testing.assert_array_equal(part.attributes["Low"], number < 20)
        assert part.attributes["Odd"].dtype == bool
    assert not jaxae.load("digits").train.attributes


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"attributes": np.ones((5, 1))}, "both .*or neither"),
        ({"attribute_names": ["A"]}, "both .*or neither"),
        ({"attributes": np.ones((5, 2)), "attribute_names": ["A"]}, "needs a value for each name"),
        ({"attributes": np.ones((4, 1)), "attribute_names": ["A"]}, "attribute A has shape"),
        ({"attributes": np.full((5, 1), 2), "attribute_names": ["A"]}, "values other than 0 or 1"),
    ],
)
def test_bad_attributes(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", images=np.zeros((5, 4, 4), np.uint8), **arrays)
    with pytest.raises(ValueError, match=message):
        jaxae.load(tmp_path / "a.npz")
