"""Parts of error messages: shapes and causes in words."""

from collections.abc import Iterable

SIZE_HINT = "give an image size (image_size=, or --image-size in a command) to crop and resize them"
"""What to do about images of different sizes."""


class DataWarning(UserWarning):
    """Some of the data were left out, or were read in a way that may not be meant."""


def describe_shape(shape: Iterable[int]) -> str:
    """The shape of an image in words.

    Examples:
      >>> describe_shape((28, 28, 1))
      '28 x 28 x 1'
    """
    return " x ".join(map(str, shape))


def counted(number: int, noun: str) -> str:
    """A number of things in words.

    Examples:
      >>> counted(1, "file"), counted(1200, "file"), counted(2, "class")
      ('1 file', '1,200 files', '2 classes')
    """
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"


def first_line(error: BaseException) -> str:
    r"""The first line of an error's message, at most 200 characters; its type if it has no message.

    Examples:
      >>> first_line(OSError("disk full\nat block 3")), first_line(OSError())
      ('disk full', 'OSError')
    """
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
