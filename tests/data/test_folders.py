"""Folders of images: splits, classes, links, and what is left out."""

import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

import jaxae
from jaxae.data.folders import from_folder
from jaxae.data.listing import list_folder
from jaxae.data.messages import DataWarning
from jaxae.data.naming import natural_order


def fill(root, counts):
    """Writes `{folder: number of images}`, each with a level of its own; returns the folder of each level."""
    folders = {}
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            level = 128 + len(folders)
            folders[level] = folder
            Image.fromarray(np.full((4, 4), level, np.uint8)).save(root / folder / f"{i}.png")
    return folders


def found(splits, folders):
    """`{split: {class: folders of its images}}`."""
    result = {}
    for split, data in splits.items():
        names = [folders[level] for level in data.images[:, 0, 0, 0]]
        labels = data.labels
        classes = data.classes if labels is not None else ("",)
        labels = np.zeros(len(names), int) if labels is None else labels
        result[split] = {
            classes[k]: [name for name, label in zip(names, labels, strict=True) if label == k]
            for k in np.unique(labels)
        }
    return result


def test_classes_are_in_natural_order(tmp_path):
    names = ["12", "1", "2", "10", "11", "3"]
    fill(tmp_path, dict.fromkeys(names, 2))
    train = from_folder(tmp_path, None)["train"]
    assert train.classes == ("1", "2", "3", "10", "11", "12")
    assert train.notes[0] == "12 files; train: 12 images of 1 2, 2 2, 3 2, 10 2, 11 2, 12 2"
    splits = jaxae.load(tmp_path)
    assert splits.train.classes == train.classes
    assert splits.test.classes == train.classes


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["b10", "B9", "a"], ["a", "B9", "b10"]),
        (["-1", "10", "0", "-10"], ["-10", "-1", "0", "10"]),
        (["1.5", "1.25", "1"], ["1", "1.25", "1.5"]),
        (["Bär 10", "Bär 9", "Zug", "Ärger"], ["Bär 9", "Bär 10", "Zug", "Ärger"]),
        (["猫2", "猫10", "犬1"], ["犬1", "猫2", "猫10"]),
        (["٣", "١٠", "2"], ["2", "٣", "١٠"]),  # Arabic digits
        (["x²", "x1", "x"], ["x", "x1", "x²"]),
        (["007", "7", "08"], ["007", "7", "08"]),
        (["e\u0301 2", "é 10", "é 1"], ["é 1", "e\u0301 2", "é 10"]),
        (["a", "1", "a1", "1a"], ["1", "1a", "a", "a1"]),
    ],
)
def test_natural_order(names, expected):
    assert natural_order(names) == expected
    assert natural_order(reversed(names)) == expected


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "valid", "test"),
        ("Training", "Validation", "Testing"),
        ("TRAIN", "dev", "TEST"),
        ("train_set", "val_set", "test_set"),
        ("training-data", "validate", "Test Images"),
        ("train2017", "val2017", "test2017"),
        ("train", "val", "eval"),
        ("train", "eval", "test"),
        ("trn", None, "holdout"),
        ("train", None, "test1"),
        ("train", "valid", None),
        ("images/train", "images/val", "images/test"),
        ("data/set/train", None, "data/set/testing"),
    ],
)
def test_spellings_of_splits(tmp_path, train, validation, test):
    counts = {}
    for name, n in ((train, 4), (validation, 2), (test, 3)):
        if name is not None:
            counts |= {f"{name}/ant": n, f"{name}/bee": n}
    folders = fill(tmp_path, counts)
    splits = from_folder(tmp_path, None)
    expected = {"train": train, "validation": validation, "test": test}
    assert found(splits, folders) == {
        split: {kind: n * [f"{name}/{kind}"] for kind in ("ant", "bee")}
        for (split, name), n in zip(expected.items(), (4, 2, 3), strict=True)
        if name is not None
    }
    assert train.split("/")[-1] in splits["train"].notes[0]
    if test is not None:
        assert (
            f"test ({test.split('/')[-1]}/): 6 images of ant 3, bee 3" in splits["train"].notes[0]
        )


def test_splits_below_classes(tmp_path):
    folders = fill(tmp_path, {"a/train": 3, "a/Eval": 2, "b/train/x": 3, "b/Eval/x": 2})
    expected = {
        "train": {"a": 3 * ["a/train"], "b": 3 * ["b/train/x"]},
        "test": {"a": 2 * ["a/Eval"], "b": 2 * ["b/Eval/x"]},
    }
    assert found(from_folder(tmp_path, None), folders) == expected
    folders |= fill(tmp_path, {"a/masks": 2, "c": 2})
    with pytest.warns(DataWarning, match=r"left out: 4 images in no split \(a/masks/0.png\)"):
        splits = from_folder(tmp_path, None)
    assert [len(part.images) for part in splits.values()] == [6, 4]


def test_a_test_folder_beside_classes(tmp_path):
    folders = fill(tmp_path, {"ant": 2, "bee": 2, "test/ant": 1, "test/bee": 1})
    with pytest.warns(DataWarning, match="test/ is read as the test split, and the folders beside"):
        splits = from_folder(tmp_path, None)
    assert found(splits, folders) == {
        "train": {"ant": ["ant", "ant"], "bee": ["bee", "bee"]},
        "test": {"ant": ["test/ant"], "bee": ["test/bee"]},
    }


def test_a_test_folder_alone(tmp_path):
    fill(tmp_path, {"test/ant": 1, "test/bee": 1})
    with pytest.raises(ValueError, match=r"only in test/, and none to train on; .*give its path"):
        from_folder(tmp_path, None)
    assert from_folder(tmp_path / "test", None)["train"].labels.tolist() == [0, 1]


def test_classes_named_like_a_split(tmp_path):
    folders = fill(tmp_path, {"bus": 2, "car": 2, "train": 2})
    with pytest.warns(DataWarning, match="train/ is read as a class beside bus/, since"):
        splits = from_folder(tmp_path, None)
    assert list(found(splits, folders)["train"]) == ["bus", "car", "train"]
    folders = fill(tmp_path / "two", {"valid": 2, "invalid": 2})
    with pytest.warns(DataWarning, match="valid/ is read as a class beside invalid/"):
        splits = from_folder(tmp_path / "two", None)
    assert list(found(splits, folders)["train"]) == ["invalid", "valid"]


@pytest.mark.parametrize(
    "names",
    [
        ("trainA", "trainB", "testA"),
        ("train_A", "train_B", "test_A"),
        ("A-train", "B-train", "A-test"),
        ("Train A", "Train B", "Testing A"),
    ],
)
def test_split_and_class_in_one_name(tmp_path, names):
    folders = fill(tmp_path, dict.fromkeys(names, 2))
    assert found(from_folder(tmp_path, None), folders) == {
        "train": {"A": 2 * [names[0]], "B": 2 * [names[1]]},
        "test": {"A": 2 * [names[2]]},
    }


def test_splits_in_the_names_of_files(tmp_path):
    fill(tmp_path, {"a": 2})
    for name in ("train_1.png", "test-1.png"):
        Image.new("L", (4, 4), 99).save(tmp_path / name)
    with pytest.warns(DataWarning, match=r"file names begin like names of splits \(test-1.png\)"):
        from_folder(tmp_path, None)


def test_images_in_no_split(tmp_path):
    fill(tmp_path, {"train/a": 2, "test/a": 1, "extra": 3, ".": 1})
    with pytest.warns(DataWarning, match=r"left out: 3 images in extra/, .*1 image in no split"):
        splits = from_folder(tmp_path, None)
    assert {name: len(part.images) for name, part in splits.items()} == {"train": 2, "test": 1}


def test_images_in_no_class(tmp_path):
    fill(tmp_path, {"train/a": 2, "train/b": 2, "train": 1, "test/b": 1, "test/z": 1})
    with pytest.warns(DataWarning) as caught:
        splits = from_folder(tmp_path, None)
    said = " ".join(str(warning.message) for warning in caught)
    assert "1 of 5 train images are not in the folder of a class (0.png), so the train" in said
    assert "of the test images without training images (z)" in said
    assert splits["train"].labels is None
    assert splits["test"].labels.tolist() == [1, 2]
    assert splits["test"].notes == ()


def test_many_classes_are_counted(tmp_path):
    fill(tmp_path, {f"c{i}": 1 for i in range(30)})
    (note,) = from_folder(tmp_path, None)["train"].notes
    assert note.endswith("c10 1, c11 1, ... (30 classes)")


def test_links_are_followed_once(tmp_path):
    folders = fill(tmp_path / "pool", {"a": 2, "b": 3})
    root = tmp_path / "data"
    root.mkdir()
    (root / "ant").symlink_to(tmp_path / "pool" / "a")
    (root / "bee").symlink_to(os.path.relpath(tmp_path / "pool" / "b", root), True)
    expected = {"train": {"ant": ["a", "a"], "bee": ["b", "b", "b"]}}
    assert found(from_folder(root, None), folders) == expected
    # Links to images are followed too.
    (root / "bee2").mkdir()
    (root / "bee2" / "x.png").symlink_to(tmp_path / "pool" / "a" / "0.png")
    assert len(from_folder(root, None)["train"].images) == 6
    (root / "again").symlink_to(tmp_path / "pool" / "a")  # after ant in no order but by name
    with pytest.warns(DataWarning, match="1 link to a folder that is already read"):
        assert len(from_folder(root, None)["train"].images) == 6


@pytest.mark.parametrize("target", [".", "..", "sub", "/", "../../outside"])
def test_links_in_a_loop(tmp_path, target):
    root = tmp_path / "data"
    fill(root, {"a": 2, "a/sub": 1, "b": 2})
    fill(tmp_path, {"elsewhere": 5})
    (tmp_path / "outside").symlink_to(root)
    (root / "a" / "loop").symlink_to(target)
    with (
        pytest.warns(DataWarning, match="left out: 1 link to .*a/loop"),
        pytest.warns(DataWarning, match=r"folders inside them \(a/sub/\) are part of them"),
    ):
        assert len(from_folder(root, None)["train"].images) == 5


def test_links_that_lead_nowhere(tmp_path):
    fill(tmp_path, {"a": 2})
    (tmp_path / "b").symlink_to(tmp_path / "gone")
    (tmp_path / "c.png").symlink_to("c.png")
    os.mkfifo(tmp_path / "d.png")
    with pytest.warns(
        DataWarning, match=r"2 of 5 files were .*2 broken links \(b\), 1 pipe or device"
    ):
        from_folder(tmp_path, None)


def test_every_file_is_counted(tmp_path):
    fill(tmp_path, {"a": 2, ".hidden": 1, "__MACOSX": 1})
    for name in ("labels.csv", "a/notes.txt", ".DS_Store", "a/Thumbs.db"):
        (tmp_path / name).write_text("text")
    listing = list_folder(tmp_path)
    assert listing.files == 6
    assert sorted(map(str, listing.left_out)) == [
        "1 .csv file (labels.csv)",
        "1 .db file (Thumbs.db)",
        "1 .txt file (notes.txt)",
        "1 hidden file (.DS_Store)",
        "2 hidden folders (.hidden)",
    ]
    # Nothing of it could be an image, so there is no warning.
    assert len(from_folder(tmp_path, None)["train"].images) == 2


def test_a_folder_without_images_says_what_it_has(tmp_path):
    (tmp_path / "a.heic").write_text("x")
    (tmp_path / "b.HEIC").write_text("x")
    with pytest.raises(
        ValueError, match=r"there is no image in .*2 \.heic files \(a\.heic\); files with"
    ):
        from_folder(tmp_path, None)


def test_names_of_every_kind(tmp_path):
    names = ["ä ö", "犬", "a'b\"c", "-x", "[1]*", "😀", "e\u0301"]
    folders = fill(tmp_path, dict.fromkeys(names, 1))
    train = from_folder(tmp_path, None, True)["train"]
    composed = [unicodedata.normalize("NFC", name) for name in names]
    assert set(train.classes) == set(composed)
    levels = train.images[:][:, 0, 0, 0]
    chosen = [unicodedata.normalize("NFC", folders[level]) for level in levels]
    assert [train.classes[k] for k in train.labels] == chosen


def test_one_name_written_in_two_ways(tmp_path):
    """Systems write an accent as one character or as two; the class is one."""
    names = [unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD")]
    fill(tmp_path, {f"train/{names[0]}": 3, "train/b": 3, f"test/{names[1]}": 2})
    splits = from_folder(tmp_path, None)
    assert splits["train"].classes == ("b", names[0])
    assert splits["test"].labels.tolist() == [1, 1]


def test_a_name_that_is_no_text(tmp_path):
    fill(tmp_path, {"a": 2, "b": 2})
    os.rename(os.fsencode(tmp_path / "b"), os.fsencode(tmp_path) + b"/\xff")
    classes = from_folder(tmp_path, None)["train"].classes
    assert set(classes) == {"a", "\\xff"}
    " ".join(classes).encode()


def test_classes_that_differ_in_case(tmp_path):
    fill(tmp_path, {"train/Cat": 2, "train/dog": 2, "test/cat": 2, "test/dog": 2})
    with (
        pytest.warns(DataWarning, match="'Cat' and 'cat' differ only in how"),
        pytest.warns(DataWarning, match=r"without training images \(cat\)"),
    ):
        from_folder(tmp_path, None)


@pytest.mark.parametrize("name", ["test", "unknown", "images"])
def test_held_out_images_in_a_folder_that_is_no_class(tmp_path, name):
    fill(tmp_path, {"train/a": 2, "train/b": 2, f"test/{name}": 3})
    with (
        pytest.warns(DataWarning, match=f"{name}/ of the test images is no class"),
        pytest.warns(DataWarning, match="the test images have no labels"),
    ):
        splits = from_folder(tmp_path, None)
    assert splits["train"].classes == ("a", "b")
    assert splits["test"].labels is None


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (["animal/cat", "animal/dog", "plant/tree"], "folders inside them"),
        (["images", "masks"], "masks/ is read as a class"),
        (["train/HR", "train/LR", "test/HR", "test/LR"], "HR/ is read as a class"),
        (["train_cat", "test_cat", "bus"], "but not all of them"),
    ],
)
def test_folders_that_may_be_no_classes(tmp_path, folders, words):
    fill(tmp_path, dict.fromkeys(folders, 2))
    with pytest.warns(DataWarning, match=words):
        from_folder(tmp_path, None)


def test_splits_of_two_ranges(tmp_path):
    """Masks of 0 and 1 to train on, and masks of 0 and 255 to test."""
    mask = np.eye(6, dtype=np.uint8)
    for folder, white in (("train", 1), ("test", 255)):
        (tmp_path / folder).mkdir()
        Image.fromarray(mask * white).save(tmp_path / folder / "a.png")
    with pytest.warns(DataWarning, match="the train images are dark: .* up to 1, and others up to"):
        from_folder(tmp_path, None)
