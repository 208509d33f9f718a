"""The splits of a folder of images: which subfolders are training, validation and test sets."""

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from jaxae.data.listing import Item, LeftOut

SPELLINGS = {
    "train": ("train", "training", "trn", "trainval"),
    "validation": (
        *("validation", "validate", "validating", "valid", "val", "vali"),
        *("dev", "devel", "develop", "development"),
    ),
    "test": ("test", "testing", "tests", "tst", "heldout", "holdout"),
    "evaluation": ("eval", "evaluation", "evaluate"),
}
"""Names of the folders of each split; case, years and endings like `_set` do not matter."""

_BY_NAME = {name: split for split, names in SPELLINGS.items() for name in names}


class Division(NamedTuple):
    """The files of each split.

    Attributes:
      splits: `{split: files}`, whose folders are those below the split.
      places: `{split: names of its folders}`.
      left_out: files that belong to no split.
      notes: what else was decided, in sentences.
      doubts: decisions that could be wrong, in sentences.
    """

    splits: dict[str, list[Item]]
    places: dict[str, list[str]]
    left_out: list[LeftOut]
    notes: list[str]
    doubts: list[str]


@lru_cache(4096)
def split_of(name: str) -> str | None:
    """The split that the name of a folder stands for, if any.

    Examples:
      >>> [split_of(name) for name in ("Training_Set", "val2017", "dev", "cats", "eval")]
      ['train', 'validation', 'validation', None, 'evaluation']
    """
    word = re.sub(r"[\W\d_]+", "", name.casefold())
    return _BY_NAME.get(word) or _BY_NAME.get(
        re.sub(r"(set|data|images|image|imgs|img|split|folder)+$", "", word)
    )


def divide(root: Path, items: list[Item]) -> Division:
    """Divides the images of a folder by the names of its subfolders.

    Args:
      root: the folder.
      items: its image files; at least one.

    Returns:
      :class:`Division`.

    Raises:
      ValueError: if there are held-out images, but none to train on.
    """
    division = Division({}, {}, [], [], [])
    inside = []
    while items[0].folders and _has_only(items, items[0].folders[0]):
        if split_of(items[0].folders[0]) is not None or len(items[0].folders) == 1:
            break
        if not all(len(item.folders) > 1 for item in items):
            break
        inside.append(items[0].folders[0])
        items = [Item(item.folders[1:], item.path) for item in items]
    if inside:
        division.notes.append(f"all images are in {'/'.join(inside)}/")
    kinds = {name: split for name in _first_folders(items) if (split := split_of(name)) is not None}
    if not kinds and (named := _by_part_of_name(items)):
        items, kinds = named
        division.notes.append("the names of the folders are split and class, such as train_cat")
    if not kinds:
        parts = {name: part for name in _first_folders(items) if (part := _split_and_class(name))}
        if {"train"} < {split for split, _ in parts.values()}:
            division.doubts.append(
                f"names of folders contain splits ({', '.join(list(parts)[:3])}), but not all of them, so "
                "each folder is taken as a class; move them into folders train and test if they are not"
            )
        return _below_classes(items, division)
    return _by_first_folder(root, items, _resolve(kinds), division)


def _resolve(kinds: dict[str, str]) -> dict[str, str]:
    """Decides what `eval` is: the test split if there is no other, and otherwise a validation split."""
    evaluation = "validation" if "test" in kinds.values() else "test"
    return {name: evaluation if split == "evaluation" else split for name, split in kinds.items()}


def _has_only(items: list[Item], name: str) -> bool:
    return all(item.folders[:1] == (name,) for item in items)


def _first_folders(items: list[Item]) -> list[str]:
    return list(dict.fromkeys(item.folders[0] for item in items if item.folders))


def _by_part_of_name(items: list[Item]) -> tuple[list[Item], dict[str, str]] | None:
    """Of folders like `trainA`, `testA` or `cat_train`, `cat_test`: as if they were `train/A`, `test/A`."""
    parts = {}
    for name in _first_folders(items):
        if (found := _split_and_class(name)) is None:
            return None
        parts[name] = found
    if not {"train"} < {split for split, _ in parts.values()} or not all(i.folders for i in items):
        return None
    moved = [Item((*parts[item.folders[0]], *item.folders[1:]), item.path) for item in items]
    return moved, {split: split for split, _ in parts.values()}


def _split_and_class(name: str) -> tuple[str, str] | None:
    """Of `trainA`, `train_cat`, `cat-train` and `DIV2K_train_HR`: the split, and the rest of the name."""
    if (joined := re.fullmatch(r"([A-Za-z]+?)([A-Z0-9]+)", name)) and (
        split := _BY_NAME.get(joined[1].lower())
    ):
        return split, joined[2]
    words = re.split(r"[_\-. ]+", name)
    found = [i for i, word in enumerate(words) if word.lower() in _BY_NAME]
    if len(found) != 1 or len(words) == 1:
        return None
    return _BY_NAME[words[found[0]].lower()], "_".join(words[: found[0]] + words[found[0] + 1 :])


def _by_first_folder(
    root: Path, items: list[Item], kinds: dict[str, str], division: Division
) -> Division:
    found = set(kinds.values())
    rest = [item for item in items if item.folders[:1] == () or item.folders[0] not in kinds]
    others = [name for name in _first_folders(items) if name not in kinds]
    names = ", ".join(f"{name}/" for name in kinds)
    has_classes = any(len(item.folders) > 1 and item.folders[0] in kinds for item in items)
    # A class may be called `train` (beside `bus`), `valid` (beside `invalid`) or `test` (beside `control`).
    beside_classes = bool(others) and (found == {"train"} or len(others) == 1)
    if len(found) == 1 and (len(kinds) > 1 or (beside_classes and not has_classes)):
        beside = f" beside {others[0]}/" if others else ""
        division.doubts.append(
            f"{names} {'is' if len(kinds) == 1 else 'are'} read as "
            f"{'a class' if len(kinds) == 1 else 'classes'}{beside}, since there is no other split; to "
            "hold out such a folder or to train on it alone, name the other folder train, or give its path"
        )
        return _everything(items, division)
    if "train" not in found:
        if not rest:
            raise ValueError(
                f"{root} has images only in {names}, and none to train on; to train on such a folder, "
                "give its path, or rename it to train"
            )
        held_out = " and ".join(sorted(found))
        beside = f"the folders beside {names}" if others else f"the files beside {names}"
        division.doubts.append(
            f"{names} {'is' if len(kinds) == 1 else 'are'} read as the {held_out} split, and {beside} as "
            "the training split; rename it if it is a class"
        )
        division.splits["train"] = rest
        division.places["train"] = []
    else:
        for name in others:
            inside = [item for item in rest if item.folders[:1] == (name,)]
            division.left_out.append(
                LeftOut(
                    "image", f" in {name}/, which is not a split", len(inside), inside[0].path.name
                )
            )
        if loose := [item for item in rest if not item.folders]:
            division.left_out.append(
                LeftOut("image", " in no split", len(loose), loose[0].path.name)
            )
    for item in items:
        if item.folders and (split := kinds.get(item.folders[0])):
            division.splits.setdefault(split, []).append(Item(item.folders[1:], item.path))
    for name, split in kinds.items():
        division.places.setdefault(split, []).append(name)
    return division


def _below_classes(items: list[Item], division: Division) -> Division:
    """Of folders like `cat/train`, `cat/test`, `dog/train`."""
    kinds = {
        name: split
        for name in dict.fromkeys(item.folders[1] for item in items if len(item.folders) > 1)
        if (split := split_of(name)) is not None
    }
    if not {"train"} < set(kinds.values()):
        return _everything(items, division)
    kinds = _resolve(kinds)
    rest = []
    for item in items:
        if len(item.folders) < 2 or item.folders[1] not in kinds:
            rest.append(item)
            continue
        folders = (item.folders[0], *item.folders[2:])
        division.splits.setdefault(kinds[item.folders[1]], []).append(Item(folders, item.path))
    for name, split in kinds.items():
        division.places.setdefault(split, []).append(f"*/{name}")
    if rest:
        example = "/".join((*rest[0].folders, rest[0].path.name))
        division.left_out.append(LeftOut("image", " in no split", len(rest), example))
    return division


def _everything(items: list[Item], division: Division) -> Division:
    beginnings: dict[str | None, Item] = {}
    for item in items:
        beginnings.setdefault(split_of(re.split(r"[\W\d_]", item.path.stem)[0]), item)
    if {"train"} < beginnings.keys() - {None}:
        example = next(item for split, item in beginnings.items() if split not in (None, "train"))
        division.doubts.append(
            f"file names begin like names of splits ({example.path.name}), but all images are read as one "
            "set; move them into folders train and test to keep them apart"
        )
    division.splits["train"] = items
    division.places["train"] = []
    return division
