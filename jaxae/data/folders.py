"""Reading a folder of images, with subfolders for its splits and classes."""

import warnings
from pathlib import Path

import numpy as np

from jaxae.data.image_sets import FileSet, check_reading, decide_ranges, finish, look_at
from jaxae.data.images import Images
from jaxae.data.listing import Item, Listing, list_folder, no_images
from jaxae.data.messages import DataWarning, counted
from jaxae.data.naming import natural_order, unseen, written_alike
from jaxae.data.ranges import Ranges, uneven
from jaxae.data.split_folders import Division, divide

MOST_NAMES = 12
"""The largest number of classes that a note lists, with their counts."""


NO_CLASSES = {
    "annotation",
    "annotations",
    "ground_truth",
    "groundtruth",
    "gt",
    "hr",
    "labels",
    "lr",
}
NO_CLASSES |= {"mask", "masks", "segmentation", "segmentations"}
"""Names of folders that usually hold other pictures of the same images, in lower case."""


def from_folder(
    folder: Path,
    image_size: int | None,
    stream: bool | None = False,
    *,
    frames: str = "first",
    levels: int | None = None,
) -> dict[str, Images]:
    """Reads a folder of images.

    It may have subfolders for the splits, in any of the usual spellings (`train`, `Training`, `val`,
    `test_set`), and these subfolders of classes. Classes are numbered in natural order of their names.
    Links to folders are followed. All images become coloured if one of them is; images of formats that
    store grey levels as colours (GIF, WebP, palettes) are grey if their channels are equal.

    The notes of the training images say what was read and what was left out. Whatever was left out or is
    doubtful also gives a :class:`DataWarning`.

    Args:
      folder: the path.
      image_size: as in :func:`jaxae.load`.
      stream: as in :func:`jaxae.load`; only training images are streamed.
      frames: of files that hold several images (TIFF stacks, animations), the "first" or "all".
      levels: the level of white in files with more than 8 bits; in all files if it is at most 255. By
        default it is decided from all files together, as in :func:`jaxae.data.ranges.decide`.

    Returns:
      the splits that the folder has; if it has none, everything is in `train`.

    Raises:
      ValueError: if there is no image to train on, an image cannot be read, or two have different sizes.
    """
    check_reading(frames, levels)
    listing = list_folder(folder)
    if not listing.images:
        raise ValueError(no_images(folder, listing))
    division = divide(folder, listing.images)
    splits, unlabelled = _without_unknown_folders(_without_common_folders(division.splits))
    sets = {
        split: look_at(
            str(folder),
            [item.path for item in items],
            image_size=image_size,
            stream=stream if split == "train" else False,
            frames=frames,
        )
        for split, items in splits.items()
    }
    ranges = decide_ranges(list(sets.values()), levels)
    channels = max(files.channels for files in sets.values())
    classes = natural_order(
        item.folders[0] for items in splits.values() for item in items if item.folders
    )
    images = {
        split: Images(
            finish(files, ranges, channels),
            labels(splits[split], classes, files.counts),
            classes=tuple(classes) if len(classes) > 1 else (),
        )
        for split, files in sets.items()
    }
    doubts = about_left_out(listing, division)
    doubts += [*division.doubts, *unlabelled, *_about_classes(splits, classes)]
    doubts += about_files(list(sets.values()), ranges)
    doubts += uneven({split: _largest_byte(files) for split, files in sets.items()}, 255)
    for text in doubts:
        warnings.warn(f"{folder}: {text}", DataWarning, stacklevel=2)
    notes = (_counts(listing, division, splits, sets, classes), *division.notes, *ranges.notes)
    grey = sum(header.shape[-1] == 1 for files in sets.values() for header in files.headers)
    if channels == 3 and grey:
        notes += (f"{counted(grey, 'grey file')} read as colours, as there are colour images",)
    images["train"] = images["train"]._replace(notes=(*notes, *doubts))
    return images


def labels(items: list[Item], classes: list[str], counts: np.ndarray) -> np.ndarray | None:
    """The class of each image, or None if there is one class, or an image is not in the folder of a class.

    Args:
      items: the files.
      classes: names of the classes, which are names of first folders.
      counts: numbers of images in the files.

    Returns:
      `[n]`, or None.
    """
    if len(classes) < 2 or not all(item.folders for item in items):
        return None
    number = {name: i for i, name in enumerate(classes)}
    return np.repeat([number[item.folders[0]] for item in items], counts)


def about_files(sets: list[FileSet], ranges: Ranges) -> list[str]:
    """What was left out of files, and doubts about their range, in sentences.

    Args:
      sets: the files, after they have been looked at.
      ranges: the levels of white.
    """
    said = list(ranges.doubts)
    headers = [header for files in sets if files.frames == "first" for header in files.headers]
    if stacks := [header for header in headers if header.frames > 1]:
        more = sum(header.frames - 1 for header in stacks)
        said.append(
            f"{counted(len(stacks), 'file')} with several images ({stacks[0].path.name}: "
            f"{stacks[0].frames:,}): the first of each is read, and {more:,} are left out; frames='all' "
            "(--frames all in a command) reads all"
        )
    for files in sets:
        if clear := [header for header in files.headers if header.transparent]:
            what = "an alpha channel" if files.contents is None else "transparent pixels"
            said.append(
                f"{counted(len(clear), 'file')} with {what} ({clear[0].path.name}): transparency is "
                "dropped, and pixels that were transparent may have any colour"
            )
    return said


def _without_common_folders(splits: dict[str, list[Item]]) -> dict[str, list[Item]]:
    """In order, without folders that all images share, such as `images` in `train/images/cat`."""
    splits = {name: splits[name] for name in ("train", "validation", "test") if name in splits}
    while True:
        every = [item for items in splits.values() for item in items]
        if len({item.folders[:1] for item in every}) > 1 or any(
            len(item.folders) < 2 for item in every
        ):
            return splits
        splits = {
            split: [Item(item.folders[1:], item.path) for item in items]
            for split, items in splits.items()
        }


def _counts(
    listing: Listing,
    division: Division,
    splits: dict[str, list[Item]],
    sets: dict[str, FileSet],
    classes: list[str],
) -> str:
    parts = []
    for split in splits:
        counts = sets[split].counts
        places = ", ".join(f"{place}/" for place in division.places[split])
        total = f"{split}{f' ({places})' if places else ''}: {counted(int(counts.sum()), 'image')}"
        if len(splits[split]) != counts.sum():
            total += f" in {counted(len(splits[split]), 'file')}"
        number = dict.fromkeys(classes, 0)
        for item, count in zip(splits[split], counts, strict=True):
            if item.folders:
                number[item.folders[0]] += int(count)
        listed = [f"{name} {number[name]:,}" for name in classes[:MOST_NAMES]]
        if len(classes) > MOST_NAMES:
            listed.append(f"... ({len(classes):,} classes)")
        parts.append(total + (f" of {', '.join(listed)}" if any(number.values()) else ""))
    left_out = [*listing.left_out, *division.left_out]
    ending = f"; left out: {', '.join(map(str, left_out))}" if left_out else ""
    return f"{counted(listing.files, 'file')}; {'; '.join(parts)}{ending}"


def about_left_out(listing: Listing, division: Division) -> list[str]:
    """The files of a folder that could be images and are not read, in at most one sentence."""
    said = [part for part in [*listing.left_out, *division.left_out] if not part.harmless]
    if not said:
        return []
    read = sum(len(items) for items in division.splits.values())
    return [
        f"{read:,} of {counted(listing.files, 'file')} were read; left out: {', '.join(map(str, said))}"
    ]


def _about_classes(splits: dict[str, list[Item]], classes: list[str]) -> list[str]:
    """Doubts about the classes, in sentences."""
    if len(classes) < 2:
        return []
    said = []
    for split, items in splits.items():
        loose = [item for item in items if not item.folders]
        if loose:
            said.append(
                f"{len(loose):,} of {len(items):,} {split} images are not in the folder of a class "
                f"({loose[0].path.name}), so the {split} images have no labels"
            )
    inside: dict[str, set[tuple[str, ...]]] = {}
    for item in (item for items in splits.values() for item in items if item.folders):
        inside.setdefault(item.folders[0], set()).add(item.folders[1:])
    # A class may have all its images in one folder inside it, such as `images`.
    if deep := [(name, *max(folders)) for name, folders in inside.items() if len(folders) > 1]:
        said.append(
            f"the classes are the folders {', '.join(classes[:3])}{', ...' * (len(classes) > 3)}, and "
            f"folders inside them ({'/'.join(deep[0])}/) are part of them"
        )
    if other := [name for name in classes if name.lower() in NO_CLASSES]:
        said.append(
            f"{other[0]}/ is read as a class of images like the others; if it belongs to the images of "
            "another folder, give the path of that folder"
        )
    names = {
        split: {item.folders[0] for item in items if item.folders}
        for split, items in splits.items()
    }
    return [*said, *written_alike(classes), *unseen(names)]


def _without_unknown_folders(
    splits: dict[str, list[Item]],
) -> tuple[dict[str, list[Item]], list[str]]:
    """Without the single folder of a held-out split that is no class of training, and what is said."""
    known = {item.folders[0] for item in splits["train"] if item.folders}
    said = []
    for split, items in splits.items():
        names = {item.folders[:1] for item in items}
        if len(known) < 2 or len(names) > 1 or not (name := next(iter(names))) or name[0] in known:
            continue
        splits = splits | {split: [Item((), item.path) for item in items]}
        said.append(f"{name[0]}/ of the {split} images is no class of the training images")
    return splits, said


def _largest_byte(files: FileSet) -> float | int:
    return max((each.high for each in files.levels if each.kind == "8-bit"), default=0)
