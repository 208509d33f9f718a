"""Listing the files of a folder: the images in natural order, and what is left out and why."""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jaxae.data.image_files import is_image, suffixes
from jaxae.data.messages import counted, first_line
from jaxae.data.naming import class_name, natural_key

# Files of these kinds are part of many data sets and are not images: they give no warning.
_HARMLESS = {"hidden", "hidden folder", ".cfg", ".csv", ".db", ".html", ".ini", ".json", ".jsonl"}
_HARMLESS |= {".log", ".md", ".py", ".rst", ".sh", ".tsv", ".txt", ".xml", ".yaml", ".yml"}

SYSTEM_FOLDERS = {"__MACOSX", "__pycache__", "@eaDir"}
"""Folders that other programs write; like hidden ones, they are not read."""


class Item(NamedTuple):
    """An image file: its path, and the names of the folders that lead to it."""

    folders: tuple[str, ...]
    path: Path


class LeftOut(NamedTuple):
    """Files or folders that are not read, for one reason.

    Attributes:
      noun: what one of them is.
      which: what distinguishes them from those that are read; may be empty.
      number: how many there are.
      example: the name of one.
      harmless: whether they are clearly not images.
    """

    noun: str
    which: str
    number: int
    example: str
    harmless: bool = False

    def __str__(self) -> str:
        return f"{counted(self.number, self.noun)}{self.which} ({self.example})"


class Listing(NamedTuple):
    """The contents of a folder.

    Attributes:
      images: the image files, in natural order.
      left_out: everything else.
      files: the number of files.
    """

    images: list[Item]
    left_out: list[LeftOut]
    files: int


def list_folder(root: Path) -> Listing:
    """Lists the files of a folder and of its subfolders.

    Links to folders are followed, unless they lead to a folder that is listed already, or to one that
    contains this one. Hidden files and folders are left out.

    Args:
      root: the folder.

    Returns:
      :class:`Listing`.

    Raises:
      ValueError: if the folder cannot be read.
    """
    images: list[Item] = []
    left_out: dict[tuple[str, str], list[str]] = {}
    files = 0

    def leave_out(name: str, noun: str, which: str = "") -> None:
        left_out.setdefault((noun, which), []).append(name)

    seen: set[tuple[int, int]] = set()
    folders: deque[tuple[str, tuple[str, ...]]] = deque([(str(root), ())])
    links: deque[tuple[str, tuple[str, ...]]] = deque()
    while folders or links:
        # Folders before links to them, so that an image is listed under its own folder.
        is_link = not folders
        folder, parts = (links if is_link else folders).popleft()
        try:
            if is_link and _contains(folder, root):
                leave_out("/".join(parts), "link", " to a folder that contains it")
                continue
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                leave_out("/".join(parts), "link", " to a folder that is already read")
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: natural_key(entry.name))
        except OSError as error:
            if not parts:
                raise ValueError(f"{root} cannot be read: {first_line(error)}") from error
            leave_out("/".join(parts), "folder", " without read permission")
            continue
        for entry in entries:
            name = entry.name
            is_hidden = name.startswith(".") or name in SYSTEM_FOLDERS
            if _holds(entry.is_dir):
                if is_hidden:
                    leave_out(name, "hidden folder")
                else:
                    (links if entry.is_symlink() else folders).append(
                        (entry.path, (*parts, class_name(name)))
                    )
                continue
            files += 1
            if is_hidden:
                leave_out(name, "hidden file")
            elif not _holds(entry.is_file):
                leave_out(name, "broken link" if entry.is_symlink() else "pipe or device")
            elif is_image(path := Path(entry.path)):
                images.append(Item(parts, path))
            elif suffix := os.path.splitext(name)[1].lower():
                leave_out(name, f"{suffix} file")
            else:
                leave_out(name, "file", " without a suffix")
    keys: dict[tuple[str, ...], Any] = {}
    for item in images:
        if item.folders not in keys:
            keys[item.folders] = [natural_key(part) for part in item.folders]
    images.sort(key=lambda item: keys[item.folders])  # stable: files of a folder are in order
    summary = [
        LeftOut(noun, which, len(names), names[0], noun.removesuffix(" file") in _HARMLESS)
        for (noun, which), names in left_out.items()
    ]
    return Listing(images, summary, files)


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except OSError:  # a link to itself
        return False


def _contains(folder: str, root: Path) -> bool:
    """Whether a link leads to a folder around the root, or around the link itself."""
    target = os.path.realpath(folder)
    places = (os.path.realpath(root), os.path.realpath(os.path.dirname(folder)))
    return any(os.path.commonpath([target, place]) == target for place in places)


def no_images(folder: Path, listing: Listing) -> str:
    """The message for a folder without images."""
    found = f"its files are {', '.join(map(str, listing.left_out))}; " if listing.left_out else ""
    usual = sorted(suffixes() & {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".webp"})
    return (
        f"there is no image in {folder}; {found}files with these suffixes are read, among others: "
        f"{', '.join(usual)}"
    )
