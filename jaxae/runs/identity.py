"""Whether a run folder belongs to a run: all settings that change the results have to be equal."""

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxae.data.streams import Stream

WHOLE_BYTES = 2**28
"""Arrays up to this size are in the fingerprint as a whole; of larger ones and streams, some images are."""
NAMES_OF_DATA = ("dataset", "image_size")
"""Flags that change nothing as long as the data are the same."""


class Comparison(NamedTuple):
    """How a recorded configuration differs from that of a run.

    Attributes:
      differences: by name, in words; empty if the results are the same.
      ignored: names that one of the two versions of jaxae does not know, in words.
    """

    differences: dict[str, str]
    ignored: tuple[str, ...] = ()


def compare(
    before: Mapping[str, Any], config: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Comparison:
    """Compares the configuration that a run folder records with another one.

    A name that only `config` has is of a newer version; the run was made with its default. A name that
    only `before` has is of another version, and is ignored.

    Args:
      before: the recorded configuration, plain values.
      config: the other one, plain values. `data` are fingerprints by the names of the arrays.
      defaults: the default values of names that may be missing in `before`.

    Examples:
      >>> compare({"code": 4, "old": 1}, {"code": 5, "new": 2}, {"new": 2})
      Comparison(differences={'code': 'code was 4 and is 5'}, ignored=('--new', '--old'))
    """
    differences: dict[str, str] = {}
    ignored: list[str] = []
    data = _compare_data(before.get("data"), config.get("data"))
    same_data = "data" in before and not data
    for name, value in config.items():
        if name == "data" and name in before:
            differences |= {"data": data} if data else {}
        elif name in NAMES_OF_DATA and same_data:
            continue
        elif name not in before and name in defaults:
            if value == defaults[name]:
                ignored.append(_flag(name))
            else:
                differences[name] = (
                    f"{name} is {value!r}, and the version that made the run used {defaults[name]!r}"
                )
        elif name.endswith("_data") and _same_fingerprint(str(before.get(name)), str(value)):
            continue
        elif before.get(name) is None and name in defaults and value == defaults[name]:
            continue  # older versions recorded None for a default that depends on the data
        elif before.get(name) != value:
            differences[name] = f"{name} was {before.get(name)!r} and is {value!r}"
    ignored += [_flag(name) for name in before if name not in config]
    return Comparison(differences, tuple(ignored))


def fingerprint(images: np.ndarray | Stream) -> str:
    """Shape and checksums, by which a change of the data is noticed.

    The first checksum is of about 64 images. The second is of all values; arrays that are large and
    streams have none.
    """
    some = np.ascontiguousarray(images[:: max(1, len(images) // 64)])
    found = f"{'x'.join(map(str, images.shape))}-{zlib.crc32(some.tobytes()):08x}"
    if isinstance(images, Stream) or images.nbytes > WHOLE_BYTES:
        return found
    return f"{found}-{zlib.crc32(np.ascontiguousarray(images).tobytes()):08x}"


def _compare_data(before: Any, now: Any) -> str:
    """Which of the data differ, in words; empty if none does."""
    # Older versions recorded the training images only.
    then, now = (
        value if isinstance(value, dict) else {"training images": value} for value in (before, now)
    )
    words = []
    for name in then.keys() & now.keys():
        old, new = str(then[name]), str(now[name])
        if not _same_fingerprint(old, new):
            shapes = [text.split("-")[0] for text in (old, new)]
            how = f"{shapes[0]} before, {shapes[1]} now" if shapes[0] != shapes[1] else "same shape"
            words.append(f"the {name} have changed ({how})")
    return ", ".join(sorted(words, key=lambda text: "training" not in text))


def _same_fingerprint(one: str, other: str) -> bool:
    """Whether two fingerprints are equal; the second checksum counts where both have it."""
    return one == other or one.startswith(f"{other}-") or other.startswith(f"{one}-")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
