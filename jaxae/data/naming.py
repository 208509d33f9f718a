"""Names of classes and files: their natural order, and which of them are written alike."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from jaxae.data.messages import counted


def natural_key(name: str) -> tuple[Any, ...]:
    """A key that sorts names as people do: numbers in them by their value, letters in any case.

    Examples:
      >>> sorted(["10", "b2", "2", "B10", "1"], key=natural_key)
      ['1', '2', '10', 'b2', 'B10']
    """
    text = unicodedata.normalize("NFC", name).casefold()
    parts = [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", text)
        if part
    ]
    return (parts, name)


def natural_order(names: Iterable[str]) -> list[str]:
    """Names in natural order; by value if all are numbers.

    Examples:
      >>> natural_order(["0.5", "-1", "0.25"]), natural_order(["page 10", "page 9"])
      (['-1', '0.25', '0.5'], ['page 9', 'page 10'])
    """
    names = set(names)
    if all(re.fullmatch(r"[-+]?\d+(\.\d+)?", name) for name in names):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names, key=natural_key)


def class_name(name: str) -> str:
    r"""A name as it is printed: accents as single characters, and bytes that are no text as `\xff`.

    Systems differ in how they write an accent, and one class must have one name.

    Examples:
      >>> class_name("cafe\u0301") == "caf\u00e9", class_name("\udcff")
      (True, '\\xff')
    """
    name = unicodedata.normalize("NFC", name)
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def written_alike(names: Iterable[str]) -> list[str]:
    """A sentence on classes whose names differ only in letter case, spaces or leading zeros, if any.

    Examples:
      >>> written_alike(["cat", "Cat", "dog"])[0][:64]
      "the classes 'Cat' and 'cat' differ only in how their names are w"
      >>> written_alike(["0.05", "0.5", "-1", "1", "1_2", "12"])
      []
    """
    groups: dict[str, list[str]] = {}
    for name in natural_order(names):
        word = re.sub(r"(?<=[^\W_])[\s_-]+(?=[^\W_])", " ", name.casefold()).strip()
        groups.setdefault(word.lstrip("0") if word.isdecimal() else word, []).append(name)
    for group in groups.values():
        if len(group) > 1:
            return [
                f"the classes {' and '.join(map(repr, group[:3]))} differ only in how their names are "
                "written; give both one name if they are one class"
            ]
    return []


def unseen(classes: Mapping[str, Collection[str]]) -> list[str]:
    """Sentences on classes of other splits that have no training images.

    Args:
      classes: the names of the classes of each split that has labels.

    Examples:
      >>> unseen({"train": ["a", "b"], "test": ["a", "c"]})
      ['1 class of the test images without training images (c)']
    """
    known = set(classes.get("train", ()))
    said = []
    for split, names in classes.items():
        others = natural_order(set(names) - known)
        if known and others:
            said.append(
                f"{counted(len(others), 'class')} of the {split} images without training images "
                f"({', '.join(others[:3])})"
            )
    return said
