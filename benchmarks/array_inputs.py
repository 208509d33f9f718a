"""Array files as they are found in practice: layouts, ranges, labels, splits, and what cannot be read."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.input_cases import Case, Expected, Truth, by_class, pictures

GREY, COLOR = pictures(40), pictures(40, 3)
FOUR_BITS = (GREY // 16).astype(np.uint8)
TWELVE_BITS = GREY.astype(np.uint16) * 16 + 15


def npy(
    array: np.ndarray,
    truth: np.ndarray | None = None,
    *words: str,
    flags: tuple[str, ...] = (),
) -> Case:
    """A case of one `.npy` file."""

    def case(folder: Path) -> Expected:
        np.save(folder / "images.npy", array)
        right = None
        if truth is not None:
            shape = truth.shape[1:] if truth.ndim == 4 else (*truth.shape[1:], 1)
            right = Truth({"all": truth}, shape)
        return Expected(("--dataset", "images.npy", *flags), right, words)

    return case


def npz(
    arrays: dict[str, Any],
    groups: dict[str, np.ndarray] | None,
    *words: str,
    both: bool = False,
) -> Case:
    """A case of one `.npz` file."""

    def case(folder: Path) -> Expected:
        np.savez(folder / "images.npz", **arrays)
        right = None if groups is None else Truth(groups)
        return Expected(("--dataset", "images.npz"), right, words, both)

    return case


def labelled(names: list[Any], labels: Any) -> Case:
    """A case of images of three classes; `labels` makes the labels from the numbers of the classes."""
    groups = by_class(names)
    images = np.concatenate(list(groups.values()))
    numbers = np.repeat(np.arange(len(groups)), [len(part) for part in groups.values()])
    return npz({"images": images, "labels": labels(numbers)}, groups)


def refused_labels(labels: Any, *words: str) -> Case:
    """A case of labels that cannot be read, or only with a message."""
    return npz({"images": GREY, "labels": labels}, None, *words)


def split(names: list[str], labels: bool = True) -> Case:
    """A case of images in splits; the test set lacks some of the labels."""
    arrays, groups = {}, {}
    for i, (name, part) in enumerate(zip(names, ("train", "test", "validation"), strict=False)):
        images = pictures(30 - 5 * i, seed=i) // (i + 1)
        arrays[name] = images
        groups[f"split:{part}"] = images
        if labels:
            other = name.replace("images", "labels") if "images" in name else "y" + name[1:]
            arrays[other] = (np.arange(len(images)) % (4 - i)).reshape(-1, 1)
    return npz(arrays, groups)


def in_other_words(content: bytes, name: str, *words: str) -> Case:
    """A case of a file with this content."""

    def case(folder: Path) -> Expected:
        (folder / name).write_bytes(content)
        return Expected(("--dataset", name), None, (name, *words))

    return case


def bomb(folder: Path) -> Expected:
    """An archive of a few hundred bytes that claims to unpack to 93 TiB."""
    with zipfile.ZipFile(folder / "images.npz", "w") as archive:
        archive.writestr("images.npy", header_only((10**8, 1000, 1024)))
        archive.infolist()[0].file_size += 10**8 * 1000 * 1024
    return Expected(("--dataset", "images.npz"), None, ("images.npz", "memory"))


def header_only(shape: tuple[int, ...]) -> bytes:
    """The header of an `.npy` file, without its values."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return header.getvalue()


def saved(array: np.ndarray) -> bytes:
    """The content of an `.npy` file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


RAGGED = np.empty(40, object)
RAGGED[:] = [GREY[i, : 4 + i % 4] for i in range(40)]
STREAM, FIRST = ("--placement", "stream"), ("--channels", "first")
WITH_NAN = GREY / 255
WITH_NAN[3, 2, 1] = np.nan

CASES: dict[str, Case] = {
    "bytes": npy(GREY, GREY),
    "bytes, [n, h, w, 1]": npy(GREY[..., None], GREY),
    "bytes, colour": npy(COLOR, COLOR),
    "channels first, grey": npy(GREY[:, None], None, "channels", "--channels first"),
    "channels first, grey, flag": npy(GREY[:, None], GREY, flags=FIRST),
    "channels first, colour": npy(np.moveaxis(COLOR, -1, 1), None, "--channels first", "last"),
    "channels first, colour, flag": npy(np.moveaxis(COLOR, -1, 1), COLOR, flags=FIRST),
    "channels first, RGBA": npy(np.zeros((40, 4, 8, 8), np.uint8), None, "--channels first"),
    "channels first, stream": npy(
        np.moveaxis(COLOR, -1, 1), None, "--channels first", flags=STREAM
    ),
    "channels first, stream, flag": npy(np.moveaxis(COLOR, -1, 1), COLOR, flags=(*STREAM, *FIRST)),
    "3 x 3 colours": npy(np.zeros((40, 3, 3, 3), np.uint8), None, "--channels first", "last"),
    "one colour image": npy(np.zeros((32, 32, 3), np.uint8), None, "one image", "[1, h, w, c]"),
    "flattened rows": npy(GREY.reshape(40, -1), None, "reshaped to (-1, 8, 8)"),
    "booleans": npy(GREY > 128, (GREY > 128) * np.uint8(255)),
    "zeros and ones": npy((GREY > 128).astype(np.int64), (GREY > 128) * np.uint8(255)),
    "4 bits in bytes": npy(FOUR_BITS, None, "dark", "--levels 15"),
    "4 bits in bytes, flag": npy(FOUR_BITS, FOUR_BITS * np.uint8(17), flags=("--levels", "15")),
    "4 bits in int32": npy(FOUR_BITS.astype(np.int32), None, "--levels 15"),
    "uint16": npy(GREY.astype(np.uint16) * 257, GREY),
    "uint16, stream": npy(GREY.astype(np.uint16) * 257, GREY, flags=STREAM),
    "uint16, big-endian": npy(GREY.astype(">u2") * np.array(257, ">u2"), GREY),
    "12 bits in uint16": npy(TWELVE_BITS, GREY, "--levels 4095"),
    "12 bits in uint16, stream": npy(TWELVE_BITS, GREY, "--levels 4095", flags=STREAM),
    "12 bits in uint16, flag": npy(TWELVE_BITS, GREY, flags=("--levels", "4095")),
    "int64, 0 to 255": npy(GREY.astype(np.int64), GREY),
    "int8": npy((GREY.astype(int) - 128).astype(np.int8), None, "int8", "from -128"),
    "float64": npy(GREY / 255, GREY),
    "float16": npy((GREY / 255).astype(np.float16), GREY),
    "float32, big-endian": npy((GREY / 255).astype(">f4"), GREY),
    "floats, 0 to 255": npy(GREY.astype(np.float32), GREY, "--levels 255"),
    "floats, 0 to 254.5": npy(GREY * 0.998, None, "--levels 255"),
    "floats, -1 to 1": npy(GREY / 127.5 - 1, None, "(x + 1) / 2"),
    "floats, streamed": npy(GREY / 255, GREY, "cannot be streamed", flags=STREAM),
    "NaN": npy(WITH_NAN, None, "images.npy", "not finite"),
    "NaN, stream": npy(WITH_NAN, None, "images.npy", "not finite", flags=STREAM),
    "Fortran order": npy(np.asfortranarray(COLOR), COLOR),
    "complex": npy(GREY.astype(complex), None, "images.npy", "complex128"),
    "structured": npy(np.zeros((40, 8, 8), [("r", "u1"), ("g", "u1")]), None, "images.npy", "type"),
    "text": npy(np.full((40, 8, 8), "a"), None, "images.npy", "type"),
    "empty": npy(GREY[:0], None, "images.npy", "empty"),
    "empty, stream": npy(GREY[:0], None, "images.npy", "empty", flags=STREAM),
    "no axes": npy(np.uint8(3), None, "images.npy", "shape ()"),
    "no axes, stream": npy(np.uint8(3), None, "images.npy", "shape ()", flags=STREAM),
    "Python objects": in_other_words(saved(RAGGED), "images.npy", "Python objects"),
    "half a file": in_other_words(saved(GREY)[:999], "images.npy", "cannot be read"),
    "a header of 93 TiB": in_other_words(
        header_only((10**8, 1000, 1024)), "images.npy", "93.1 TiB"
    ),
    "an archive of 93 TiB": bomb,
    "text as .npz": in_other_words(b"images", "images.npz", "cannot be read"),
    "splits: Keras": split(["x_train", "x_test"]),
    "splits: MedMNIST": split(["train_images", "test_images", "val_images"]),
    "splits: without labels": split(["x_train", "x_test"], labels=False),
    "arrays X and y": npz({"X": GREY, "y": np.arange(40) % 4}, {"all": GREY}),
    "arrays data and target": npz({"data": GREY, "target": np.arange(40) % 4}, {"all": GREY}),
    "array arr_0": npz({"arr_0": GREY}, {"all": GREY}),
    "arrays arr_0 and arr_1": npz({"arr_0": GREY, "arr_1": GREY}, None, "arr_0", "arr_1", "images"),
    "arrays of unknown names": npz({"left": GREY, "right": GREY}, None, "left", "right", "images"),
    "two arrays of images": npz({"x": GREY, "data": GREY}, None, "not clear", "x", "data"),
    "an array left out": npz({"images": GREY, "depths": GREY}, {"all": GREY}, "depths", both=True),
    "a test set alone": npz({"x_test": GREY}, None, "no training images"),
    "labels [n, 1]": labelled([0, 1, 2], lambda y: y[:, None]),
    "labels one-hot": labelled([0, 1, 2], lambda y: np.eye(3)[y]),
    "labels as text": labelled(["ant", "bee", "cat"], lambda y: np.array(["ant", "bee", "cat"])[y]),
    "labels in UTF-8": labelled(["ant", "öl"], lambda y: np.array(["ant", "öl".encode()], "S3")[y]),
    "labels from 1": labelled([1, 2, 3], lambda y: y + 1),
    "labels with gaps": labelled([2, 9, 10], lambda y: np.array([2, 9, 10])[y]),
    "labels of 10^9": labelled([0, 10**9], lambda y: y * 10**9),
    "labels beyond 32 bits": labelled(
        [1, 2**32 + 1], lambda y: np.uint64(2**32) * y.astype(np.uint64) + np.uint64(1)
    ),  # fmt: skip
    "labels that are whole floats": labelled([1, 2, 3], lambda y: y + 1.0),
    "labels -1 and 1": labelled([-1, 1], lambda y: 2 * y - 1),
    "labels with unknown ones": refused_labels(np.arange(40) % 4 - 1, "no label"),
    "labels that are fractions": refused_labels(np.arange(40) / 4, "fractions"),
    "labels with NaN": refused_labels(np.full(40, np.nan), "NaN"),
    "several labels": refused_labels(np.ones((40, 5), int), "one-hot", "attributes"),
    "too few labels": refused_labels(np.zeros(39, int), "40 images", "labels of shape (39,)"),
}
