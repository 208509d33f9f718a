"""Folders of images as they are found in practice: classes, splits, formats, stacks, ranges."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from benchmarks.input_cases import Case, Expected, Truth, by_class, pictures

GREY, COLOR = pictures(24), pictures(24, 3)
TWELVE_BITS = GREY.astype(np.uint16) * 16 + 15


def write(folder: Path, images: np.ndarray, suffix: str = "png", **options: Any) -> None:
    """Writes images as files 0.png, 1.png, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i}.{suffix}", **options)


def plain(
    images: np.ndarray,
    saved: np.ndarray,
    *words: str,
    suffix: str = "png",
    flags: tuple[str, ...] = (),
    tolerance: float = 0.6,
    **options: Any,
) -> Case:
    """A case of files in one folder."""

    def case(folder: Path) -> Expected:
        write(folder / "images", saved, suffix, **options)
        truth = Truth({"all": images}, (8, 8, 1 if images.ndim == 3 else 3), tolerance)
        return Expected(("--dataset", "images", *flags), truth, words)

    return case


def class_folders(
    names: list[str],
    first: str = "",
    more: Callable[[Path], None] | None = None,
    flags: tuple[str, ...] = (),
) -> Case:
    """A case of a folder for each class."""

    def case(folder: Path) -> Expected:
        groups = by_class(names)
        for name, images in zip(names, groups.values(), strict=True):
            write(folder / "images" / first / name, images)
        if more is not None:
            more(folder / "images")
        return Expected(("--dataset", "images", *flags), Truth(groups))

    return case


def split_folders(train: str, test: str, validation: str = "") -> Case:
    """A case of folders of splits, each with folders of classes."""

    def case(folder: Path) -> Expected:
        groups = {}
        for i, (split, name) in enumerate(
            (("train", train), ("test", test), ("validation", validation))
        ):
            if name:
                images = pictures(20 - 4 * i, seed=i) // (i + 1)
                groups[f"split:{split}"] = images
                for j, part in enumerate("ab"):
                    write(folder / "images" / name / part, images[j::2])
        return Expected(("--dataset", "images"), Truth(groups))

    return case


def linked(folder: Path) -> Expected:
    """Folders of classes that are symbolic links."""
    groups = by_class(["a", "b"])
    for name, images in zip("ab", groups.values(), strict=True):
        write(folder / "elsewhere" / name, images)
        (folder / "images").mkdir(exist_ok=True)
        os.symlink(folder / "elsewhere" / name, folder / "images" / name)
    return Expected(("--dataset", "images"), Truth(groups))


def link_loop(folder: Path) -> None:
    """A link to the folder that contains it."""
    os.symlink(folder, folder / "a" / "loop")


def stack(suffix: str, *flags: str) -> Case:
    """A case of 24 files of two images each."""
    images = pictures(48)

    def case(folder: Path) -> Expected:
        (folder / "images").mkdir()
        for i in range(24):
            several = [Image.fromarray(image) for image in images[2 * i : 2 * i + 2]]
            several[0].save(
                folder / "images" / f"{i}.{suffix}", save_all=True, append_images=several[1:]
            )
        if flags:
            return Expected(("--dataset", "images", *flags), Truth({"all": images}))
        truth = Truth({"all": images[::2]})
        return Expected(
            ("--dataset", "images"), truth, ("24 are left out", "--frames all"), both=True
        )

    return case


def inverted(folder: Path) -> Expected:
    """16-bit TIFF files in which zero is white."""
    (folder / "images").mkdir()
    for i, image in enumerate(GREY):
        path = folder / "images" / f"{i}.tif"
        Image.fromarray(65535 - image.astype(np.uint16) * 257).save(path, tiffinfo={262: 0})
    return Expected(("--dataset", "images"), Truth({"all": GREY}), ("white",))


def mixed_formats(folder: Path) -> Expected:
    """Every suffix once for three images, and files that are not images."""
    suffixes = ["png", "PNG", "bmp", "tif", "ppm", "tga", "webp"]
    if features.check("jpg_2000"):
        suffixes.append("jp2")
    groups = []
    for i, suffix in enumerate(suffixes):
        images = pictures(3, 3, seed=i)
        options = {"lossless": True} if suffix == "webp" else {}
        write(folder / "images" / suffix, images, suffix, **options)
        groups.append(images)
        for path in (folder / "images" / suffix).iterdir():
            path.rename(folder / "images" / f"{suffix}-{path.name}")
        (folder / "images" / suffix).rmdir()
    (folder / "images" / "readme.txt").write_text("no image")
    (folder / "images" / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic")
    truth = Truth({"all": np.concatenate(groups)}, (8, 8, 3))
    return Expected(("--dataset", "images"), truth, ("heic",), both=True)


def mixed_modes(*flags: str) -> Case:
    """A case of grey and colour images in one folder."""

    def case(folder: Path) -> Expected:
        write(folder / "images" / "a", GREY)
        write(folder / "images" / "b", COLOR)
        both = np.concatenate([np.repeat(GREY[..., None], 3, axis=-1), COLOR])
        return Expected(("--dataset", "images", *flags), Truth({"all": both}, (8, 8, 3)), ("grey",))

    return case


def bears_a_name(name: str, given: str, right: bool, *words: str) -> Case:
    """A case of a folder with the name of a data set."""

    def case(folder: Path) -> Expected:
        write(folder / name, GREY)
        truth = Truth({"all": GREY}) if right else None
        return Expected(("--dataset", given), truth, words, both=right and bool(words))

    return case


def damaged(folder: Path) -> Expected:
    """A folder with a truncated file."""
    write(folder / "images", GREY)
    path = folder / "images" / "7.png"
    path.write_bytes(path.read_bytes()[:60])
    return Expected(("--dataset", "images"), None, ("7.png",))


def empty(folder: Path) -> Expected:
    """A folder without files."""
    (folder / "images").mkdir()
    return Expected(("--dataset", "images"), None, ("no image", "images"))


def several_sizes(folder: Path) -> Expected:
    """A folder of images of two sizes."""
    write(folder / "images" / "a", GREY)
    write(folder / "images" / "b", pictures(9, side=12))
    return Expected(("--dataset", "images"), None, ("8 x 8", "12 x 12", "--image-size"))


def hidden(folder: Path) -> None:
    """A hidden folder of images, as file managers write."""
    write(folder / ".thumbnails", GREY[:3])


def absent(name: str, *words: str) -> Case:
    """A case of a name that does not exist."""
    return lambda folder: Expected(("--dataset", name), None, words)


CASES: dict[str, Case] = {
    "folder": plain(GREY, GREY),
    "folder, colour": plain(COLOR, COLOR),
    "folder, stream": plain(GREY, GREY, flags=("--placement", "stream")),
    "folder, JPEG": plain(GREY, GREY, suffix="jpeg", tolerance=4, quality=98),
    "folder, jfif": plain(GREY, GREY, suffix="jfif", tolerance=4, quality=98, format="JPEG"),
    "folder, pgm": plain(GREY, GREY, suffix="pgm"),
    "folder, ppm": plain(COLOR, COLOR, suffix="ppm"),
    "folder, avif": plain(COLOR, COLOR, "avif", suffix="avif", tolerance=4, quality=100),
    "16-bit PNG": plain(GREY, GREY.astype(np.uint16) * 257),
    "12 bits in 16-bit PNG": plain(GREY, GREY.astype(np.uint16) * 16 + 15, "--levels 4095"),
    "12 bits in 16-bit PNG, flag": plain(
        GREY, GREY.astype(np.uint16) * 16 + 15, flags=("--levels", "4095")
    ),  # fmt: skip
    "8 bits in 32-bit TIFF": plain(GREY, GREY.astype(np.int32), "levels", suffix="tif"),
    "float TIFF": plain(GREY, (GREY / 255).astype(np.float32), "float", suffix="tif"),
    "white is zero, 16 bits": inverted,
    "classes 1 to 12": class_folders([str(i) for i in range(1, 13)]),
    "classes with a hidden folder": class_folders(["a", "b"], more=hidden),
    "classes in train alone": class_folders(["a", "b"], first="train"),
    "class folders, stream": class_folders(["2", "10"], flags=("--placement", "stream")),
    "links to class folders": linked,
    "a loop of links": class_folders(["a", "b"], more=link_loop),
    "splits train, test": split_folders("train", "test"),
    "splits train, valid, test": split_folders("train", "test", "valid"),
    "splits training, testing": split_folders("training", "testing"),
    "splits Train, Test, dev": split_folders("Train", "Test", "dev"),
    "splits train, validate": split_folders("train", "test", "validate"),
    "TIFF stacks": stack("tif"),
    "TIFF stacks, flag": stack("tif", "--frames", "all"),
    "animations": stack("gif"),
    "animations, flag": stack("gif", "--frames", "all"),
    "many formats, and others": mixed_formats,
    "grey and colour": mixed_modes(),
    "grey and colour, stream": mixed_modes("--placement", "stream"),
    "several sizes": several_sizes,
    "a damaged file": damaged,
    "an empty folder": empty,
    "a folder called digits": bears_a_name("digits", "digits", False, "./digits"),
    "a folder called digits, ./digits": bears_a_name("digits", "./digits", True),
    "a folder called mnist, mnist/": bears_a_name("mnist", "mnist/", True),
    "a folder food101/images": bears_a_name("food101/images", "food101/images", True, "food101"),
    "a name in capitals": absent("MNIST5K", "did you mean mnist5k"),
    "no such folder": absent("no/such/folder", "no/such/folder"),
}
