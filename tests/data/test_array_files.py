"""Arrays as people save them: layouts, ranges, labels, splits, and sizes that do not fit the memory."""

import io
import warnings
import zipfile

import numpy as np
import pytest

import jaxae
from jaxae.data import archives
from jaxae.data.archives import find_roles
from jaxae.data.layouts import channels_first, check_channels
from tests.data.files import grey, write


def save(tmp_path, **arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    return tmp_path / "a.npz"


def everything(splits):
    return np.concatenate([part.images[:] for part in splits])


@pytest.mark.parametrize(
    "shape",
    [(9, 1, 8, 8), (9, 3, 32, 32), (9, 4, 28, 28), (9, 13, 64, 64), (9, 3, 3, 3), (9, 28, 28, 28),
     (9, 2, 50, 3), (9, 1, 28, 1), (9, 28, 28, 64)],
)  # fmt: skip
def test_shapes_with_two_readings_name_both_and_the_flag(shape):
    _, a, b, c = shape
    with pytest.raises(ValueError, match="channels") as caught:
        channels_first(shape, "it")
    for part in (f"{b} x {c} with {a} channel", f"{a} x {b} with {c} channel", "--channels first"):
        assert part in str(caught.value)
    assert channels_first(shape, "it", "first")
    assert not channels_first(shape, "it", "last")


@pytest.mark.parametrize(
    "shape",
    [(9, 8, 8), (9, 28, 28, 1), (9, 32, 32, 3), (9, 8, 8, 4), (9, 2, 2, 1), (9, 4, 4, 1),
     (9, 2, 2, 3), (9, 1, 1, 1), (9, 6, 5, 3), (9, 64, 64, 13), (1, 8, 8), (9, 6, 3)],
)  # fmt: skip
def test_shapes_with_one_reading(shape):
    assert not channels_first(shape, "it")


def test_shapes_that_may_not_be_images():
    for shape, message in (
        ((32, 30, 3), r"one image of 32 x 30 with 3 channels.*\[1, h, w, c\]"),
        ((70, 784), r"reshaped to \(-1, 28, 28\)"),
        ((70, 3072), r"\(-1, 32, 32, 3\) \(or \(-1, 3, 32, 32\) and channels=.first"),
        ((70, 10), "images are"),
        ((), "images are"),
    ):
        with pytest.raises(ValueError, match=message):
            channels_first(shape, "it")


@pytest.mark.parametrize("stream", [False, True])
def test_channels_first(tmp_path, stream):
    images = np.random.default_rng(0).integers(0, 256, (30, 3, 8, 9), np.uint8)
    np.save(tmp_path / "a.npy", images)
    found = jaxae.load(tmp_path / "a.npy", channels="first", stream=stream)
    assert found.train.images.shape[1:] == (8, 9, 3)
    np.testing.assert_array_equal(
        np.sort(everything(found), axis=0), np.sort(images.transpose(0, 2, 3, 1), axis=0)
    )
    with pytest.raises(ValueError, match=r"a\.npy.*--channels first"):
        jaxae.load(tmp_path / "a.npy", stream=stream)
    with pytest.raises(ValueError, match="channels must be"):
        check_channels("middle")
    with pytest.raises(ValueError, match="channels .* is for array files"):
        jaxae.load("digits", channels="first")


X = grey(40, (8, 8))
X[0, 0, :2] = 0, 255


@pytest.mark.parametrize(
    ("array", "levels"),
    [
        (X.astype(np.int64), None),
        (X.astype(">u2"), None),
        (X.astype(np.uint16) * 257, None),
        (X.astype(np.uint16) * 16 + X // 16, 4095),
        (X // 17 * 17 // 17, 15),
        (np.asfortranarray(X), None),
        (X.astype(np.float32), None),
        (X / 255, None),
        (X.astype(np.float64) * 3, 765),
    ],
    ids=str,
)
def test_ranges(tmp_path, array, levels):
    expected = X // 17 * 17 if levels == 15 else X
    np.save(tmp_path / "a.npy", array)
    for stream in (False, True) if array.dtype.kind != "f" else (False,):
        found = jaxae.load(tmp_path / "a.npy", levels=levels, stream=stream)
        images = everything(found)
        images = images if images.dtype == np.uint8 else 255 * images
        np.testing.assert_allclose(
            np.sort(images[..., 0], axis=0), np.sort(expected, axis=0), atol=1
        )
        assert (found.train.notes == ()) == (array.dtype == np.uint8 and levels is None) or (
            array.dtype == np.float64
        )
        assert found.test.notes == ()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (X.astype(np.uint16) * 16, r"uint16 and values from 0 to 4080.*--levels 4095"),
        (X.astype(np.int32) // 16, r"int32 and values from 0 to 15.*--levels 15"),
        (X.astype(np.int64) - 1, "from -1 to 254"),
        (X * 0.5 + 0.1, r"--levels 255"),
        (X / 127.5 - 1, r"\(x \+ 1\) / 2"),
        (np.full((9, 8, 8), "a"), "has type"),
        (np.zeros((9, 8, 8), [("r", "u1")]), "has type"),
        (np.uint8(3), r"has shape \(\)"),
        (X[:0], "is empty"),
    ],
)
def test_refused_ranges_are_the_same_in_memory_and_streamed(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    said = []
    for stream in (False, True):
        with pytest.raises(ValueError, match=message) as caught:
            jaxae.load(tmp_path / "a.npy", stream=stream)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "a.npy" in said[0]


def test_dark_images_give_a_warning(tmp_path):
    np.save(tmp_path / "a.npy", X // 16)
    for stream in (False, True):
        with pytest.warns(jaxae.data.DataWarning, match=r"a\.npy is dark.*--levels 15"):
            jaxae.load(tmp_path / "a.npy", stream=stream)
    with pytest.raises(ValueError, match=r"not in \[0, 7\]"):
        jaxae.load(tmp_path / "a.npy", levels=7)
    with pytest.raises(ValueError, match="must be positive"):
        jaxae.load(tmp_path / "a.npy", levels=0)


BIG = 2**32


@pytest.mark.parametrize(
    ("labels", "numbers", "classes"),
    [
        ([[0], [1], [2]], [0, 1, 2], ()),
        (np.eye(3)[[2, 0, 1]], [2, 0, 1], ()),
        ([1, 2, 3], [0, 1, 2], ("1", "2", "3")),
        ([10, 9, 2], [2, 1, 0], ("2", "9", "10")),
        (["b10", "b2", "a"], [2, 1, 0], ("a", "b2", "b10")),
        ([b"b", b"a", b"b"], [1, 0, 1], ("a", "b")),
        (np.array(["b", "a", "b"], object), [1, 0, 1], ("a", "b")),
        ([0, 10**9, 0], [0, 1, 0], ("0", str(10**9))),
        ([1, BIG + 1, 1], [0, 1, 0], ("1", str(BIG + 1))),
        (np.array([2**64 - 1, 0, 1], np.uint64), [2, 0, 1], ("0", "1", str(2**64 - 1))),
        ([1.0, 0.0, 2.0], [1, 0, 2], ()),
        ([True, False, True], [1, 0, 1], ()),
        ([-1, 0, 1], [-1, 0, 1], ()),
        ([-1, 5, 7], [-1, 0, 1], ("5", "7")),
        ([-1, 1, 1], [0, 1, 1], ("-1", "1")),
        ([-2, -1, 0], [0, 1, 2], ("-2", "-1", "0")),
    ],
)
def test_labels_are_numbered_and_keep_their_names(labels, numbers, classes):
    found = jaxae.data.from_arrays(grey(3), np.asarray(labels))
    assert found.labels.tolist() == numbers
    assert found.classes == classes
    assert found.take(np.array([1])).classes == classes


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, np.nan, 1], "NaN"),
        ([0, 0.5, 1], "fractions, such as 0.5"),
        ([[1, 1], [0, 1], [1, 0]], "not one-hot.*attributes"),
        ([["a", "b"]] * 3, "one label"),
        ([1j, 0, 0], "complex128"),
        ([0, 1], r"3 images, but labels of shape \(2,\)"),
        (np.zeros((3, 1, 1)), "3 images, but labels of shape"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        jaxae.data.from_arrays(grey(3), np.asarray(labels))


@pytest.mark.parametrize(
    "names",
    [
        "x_train y_train x_test y_test x_val y_val",
        "X_train Y_train X_test Y_test X_dev Y_dev",
        "train_images train_labels test_images test_labels val_images val_labels",
        "xtrain ytrain xtest ytest xvalid yvalid",
        "images_train targets_train images_test targets_test images_valid targets_valid",
        "train train_y test test_y validation validation_y",
    ],
)
def test_splits_of_an_archive(tmp_path, names):
    images = [grey(n, (8, 8), seed=n) for n in (12, 9, 8)]
    # A class that only the test set has: the numbers are of one list.
    labels = [np.arange(12) % 2 + 4, np.full((9, 1), 3), np.full(8, 5)]
    arrays = [part for pair in zip(images, labels, strict=True) for part in pair]
    with pytest.warns(jaxae.data.DataWarning, match=r"test images without training images \(3\)"):
        found = jaxae.load(save(tmp_path, **dict(zip(names.split(), arrays, strict=True))))
    for split, expected, numbers in zip(
        (found.train, found.test, found.validation),
        images,
        ([1, 2] * 6, [0] * 9, [2] * 8),
        strict=True,
    ):
        np.testing.assert_array_equal(split.images[..., 0], expected)
        assert split.labels.tolist() == numbers
        assert split.classes == ("3", "4", "5")
    assert names.split()[0] in " ".join(found.train.notes)


@pytest.mark.parametrize(
    "names", ["images labels", "X y", "data target", "image label", "x targets"]
)
def test_images_and_labels_of_an_archive(tmp_path, names):
    images, labels = names.split()
    found = jaxae.load(save(tmp_path, **{images: X, labels: np.arange(40) % 2}))
    assert sum(len(part.labels) for part in found) == 40
    assert len(jaxae.load(save(tmp_path, arr_0=X)).train.images) == 32


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["arr_0", "arr_1"],
            "no array 'images', only arr_0, arr_1; name the arrays images and labels",
        ),
        (["x", "data"], "not clear which of x and data"),
        (["x_test"], "no training images, only x_test"),
        (["images", "test_images"], "images with and without the name of a split"),
        ([], "only nothing"),
    ],
)
def test_archives_that_are_not_clear(names, message):
    with pytest.raises(ValueError, match=message):
        find_roles(names)


def test_splits_of_one_type_and_range(tmp_path):
    dark = (X // 16).astype(np.int32)
    with pytest.warns(jaxae.data.DataWarning, match="the test images are dark: .* up to 15"):
        found = jaxae.load(save(tmp_path, x_train=X.astype(np.int32), x_test=dark))
    np.testing.assert_array_equal(found.test.images[..., 0], dark)
    with pytest.raises(
        ValueError, match="x_train .* has type uint8 and .*x_test .* has type int32"
    ):
        jaxae.load(save(tmp_path, x_train=X, x_test=dark))


def test_arrays_that_are_left_out_are_named(tmp_path):
    with pytest.warns(jaxae.data.DataWarning, match="depths ignored"):
        found = jaxae.load(save(tmp_path, images=X, depths=X))
    assert "depths" in " ".join(found.train.notes)


def test_an_archive_that_would_not_fit_the_memory(tmp_path, monkeypatch):
    """The sizes of all arrays that would be read are added before one is read."""
    path = save(tmp_path, images=X, labels=np.zeros(40, int))
    monkeypatch.setattr(archives, "host_memory", lambda: X.nbytes + 319)
    with pytest.raises(
        ValueError, match=r"a\.npz cannot be read: it would take 2880 bytes of memory"
    ):
        jaxae.load(path)
    monkeypatch.setattr(archives, "host_memory", lambda: X.nbytes + 320)
    jaxae.load(path)
    np.save(tmp_path / "a.npy", X)
    monkeypatch.setattr(archives, "host_memory", lambda: X.nbytes - 1)
    with pytest.raises(ValueError, match=r"a\.npy cannot be read: it would take .* is streamed"):
        jaxae.load(tmp_path / "a.npy")


def test_an_archive_that_says_it_unpacks_to_terabytes(tmp_path):
    header = io.BytesIO()
    shape = (10**8, 1000, 1024)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", header.getvalue())
        archive.infolist()[0].file_size += 10**8 * 1000 * 1024
    with pytest.raises(ValueError, match="it would take 93.1 TiB of memory"):
        jaxae.load(tmp_path / "a.npz")


def test_python_objects_are_explained(tmp_path):
    np.save(tmp_path / "a.npy", np.array([X[0], None], object), allow_pickle=True)
    for stream in (False, True):
        with pytest.raises(ValueError, match="Python objects.*differ in size"):
            jaxae.load(tmp_path / "a.npy", stream=stream)


def test_a_folder_that_has_the_name_of_a_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("digits", "food101/images"):
        for i in range(5):
            write(tmp_path, f"{name}/{i}.png", X[i])
    with pytest.warns(
        jaxae.data.DataWarning, match=r"not as the folder; for the folder, give \./digits"
    ):
        assert len(jaxae.load("digits").test.images) == 355
    with pytest.warns(jaxae.data.DataWarning, match="is read as the folder of this name"):
        assert len(jaxae.load("food101/images").train.images) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in ("./digits", "digits/", tmp_path / "digits"):
            assert len(jaxae.load(given).train.images) == 3


@pytest.mark.parametrize("shape", [(8, 8, 20), (28, 28, 9)])
def test_arrays_whose_last_axis_numbers_the_images(tmp_path, shape):
    with pytest.raises(ValueError, match="as MATLAB stores them"):
        jaxae.load(save(tmp_path, images=np.zeros(shape, np.uint8)))
    with pytest.raises(ValueError, match="if the last axis numbers the images"):
        jaxae.load(save(tmp_path, images=np.zeros((*shape[:2], 3, 30), np.uint8)))


def test_text_labels_as_tables_have_them(tmp_path):
    """Spaces around names, cells without one, and one class in two cases."""
    labels = np.array(["cat", "cat ", " dog", "", "dog"] * 8)
    found = jaxae.load(save(tmp_path, images=X, labels=labels))
    assert found.train.classes == ("cat", "dog")
    every = np.concatenate([part.labels for part in found])
    assert np.bincount(every + 1).tolist() == [8, 16, 16]
    assert "8 images have no label" in " ".join(found.train.notes)
    with pytest.warns(jaxae.data.DataWarning, match="'cat' and 'Cat'|'Cat' and 'cat'"):
        jaxae.load(save(tmp_path, images=X, labels=np.array(["cat", "Cat"] * 20)))
    with pytest.warns(jaxae.data.DataWarning, match="'nan' is read as the name of a class"):
        jaxae.load(save(tmp_path, images=X, labels=np.array(["cat", "nan"] * 20)))


def test_images_of_which_none_has_a_label(tmp_path):
    found = jaxae.load(save(tmp_path, images=X, labels=np.full(40, -1)))
    assert found.train.labels is None
    assert "no image has a label" in " ".join(found.train.notes)


def test_floats_that_are_a_little_above_one(tmp_path):
    with pytest.raises(ValueError, match=r"from 0 to 1\.000001; .*np\.clip"):
        jaxae.load(save(tmp_path, images=X / X.max() * 1.000001))
