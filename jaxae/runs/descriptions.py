"""Descriptions in words of what flags such as `masking:0.3` stand for, for titles and protocols."""

from collections.abc import Sequence


def corruption(texts: Sequence[str]) -> str:
    """A description of the corruptions that :func:`jaxae.runs.pieces.corruption` makes of the texts.

    Examples:
      >>> corruption(["masking:0.3", "gaussian:0.1"])
      '30 % of the values set to zero, then Gaussian noise of standard deviation 0.1'
    """
    return ", then ".join(_corruption(text) for text in texts)


def _corruption(text: str) -> str:
    name, _, strength = text.partition(":")
    if name == "grayscale":
        return "converted to grey levels"
    value = float(strength)
    return {
        "gaussian": f"Gaussian noise of standard deviation {value:g}",
        "masking": f"{_percent(value)} of the values set to zero",
        "salt_and_pepper": f"{_percent(value)} of the values set to black or white",
        "erase": f"a rectangle of {_percent(value)} of the height and the width erased",
        "downsample": f"{value:g} times fewer pixels along each side",
    }.get(name, text)


def hole(text: str) -> str:
    """A description of the missing part of an image, of a flag such as `block:0.5`.

    Examples:
      >>> hole("block:0.5")
      'a block of 50 % of the height and the width'
      >>> hole("half:left"), hole("half")
      ('the left half', 'a random half')
    """
    name, _, value = text.partition(":")
    if name == "half":
        return f"the {value} half" if value else "a random half"
    part = _percent(float(value))
    return {
        "block": f"a block of {part} of the height and the width",
        "pixels": f"{part} of the pixels, at random",
        "torn": f"{part} of the image, beyond a torn edge",
    }.get(name, text)


def sparsity(text: str) -> str:
    """A description of the sparsity of codes, of a flag such as `l1:1e-3`.

    Examples:
      >>> sparsity("kl:0.1:0.05")
      'sparse codes (KL divergence from a mean activation of 0.05, weight 0.1)'
    """
    kind, *numbers = text.split(":")
    values = [f"{float(number):g}" for number in numbers]
    if kind == "kl":
        return f"sparse codes (KL divergence from a mean activation of {values[1]}, weight {values[0]})"
    if kind == "top_k":
        return f"sparse codes (the {values[0]} largest values)"
    return f"sparse codes (L1 norm, weight {values[0]})"


def shift(down: int, right: int) -> str:
    """A description of a shift by whole pixels.

    Examples:
      >>> shift(4, -2), shift(0, 0)
      ('moved by 4 pixels down and 2 pixels to the left', 'not moved')
    """
    ways = []
    if down:
        ways.append(f"{_pixels(down)} {'down' if down > 0 else 'up'}")
    if right:
        ways.append(f"{_pixels(right)} to the {'right' if right > 0 else 'left'}")
    return f"moved by {' and '.join(ways)}" if ways else "not moved"


def _pixels(count: int) -> str:
    return f"{abs(count)} pixel{'' if abs(count) == 1 else 's'}"


def _percent(part: float) -> str:
    return f"{100 * part:.4g} %"
