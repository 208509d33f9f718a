"""Models for images of another size than those that they were trained on."""

from collections.abc import Iterator, Mapping
from typing import Any

SHAPED = ("networks.unet_decoder", "networks.with_input")
"""Constructors of networks for images of any size, whose argument `shape` has the size."""

PARTS = (
    *SHAPED,
    *("autoencoder", "denoising"),
    *("networks.unet_encoder", "networks.activate", "networks.leaky_relu"),
)
KINDS = ("likelihoods.", "corruptions.", "masks.")
"""The other constructors, and the beginnings of their names, of a model for images of any size."""


def takes_any_size(recipe: Mapping[str, Any]) -> bool:
    """Whether the model of a recipe has the same parameters for images of every size.

    That is so for a U-Net, and not for a network with a bottleneck.

    Examples:
      >>> import jaxae
      >>> from jaxae.networks import conv_decoder, conv_encoder, unet_decoder, unet_encoder
      >>> unet = jaxae.autoencoder(unet_encoder((4,)), unet_decoder((8, 8, 1), (4,)))
      >>> conv = jaxae.autoencoder(conv_encoder(2, (4,)), conv_decoder((8, 8, 1), (4,)))
      >>> takes_any_size(jaxae.recipe_of(unet)), takes_any_size(jaxae.recipe_of(conv))
      (True, False)
    """
    calls = set(_calls(recipe))
    return "networks.unet_decoder" in calls and all(
        name in PARTS or name.startswith(KINDS) for name in calls
    )


def at_size(recipe: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """The recipe of the same model for images of another size.

    Args:
      recipe: of a model for which :func:`takes_any_size` is true.
      size: the new height and width.

    Examples:
      >>> import jaxae
      >>> recipe = jaxae.recipe_of(jaxae.networks.unet_decoder((8, 8, 3), (4,)))
      >>> at_size(recipe, (20, 30))["shape"]
      [20, 30, 3]
    """

    def changed(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [changed(each) for each in value]
        if not isinstance(value, Mapping):
            return value
        new = {name: changed(each) for name, each in value.items()}
        return new | ({"shape": [*size, new["shape"][2]]} if value.get("call") in SHAPED else {})

    return changed(recipe)


def _calls(value: Any) -> Iterator[str]:
    """The names of all constructors in a recipe."""
    if isinstance(value, Mapping):
        if "call" in value:
            yield value["call"]
        for each in value.values():
            yield from _calls(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _calls(each)
