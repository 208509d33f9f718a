"""Reading the records of a training: the score to select by, and whether a discriminator has won."""

from collections.abc import Collection, Mapping

import numpy as np

from jaxae.arrays import at_step
from jaxae.composition import Autoencoder

CERTAIN = 0.99
"""Accuracy above which a discriminator gives the generator no useful gradient any more."""

WORSE_THAN_CHANCE = 0.15
"""Accuracy below which a discriminator has collapsed and teaches the generator nothing."""


def gan_diagnosis(record: Mapping[str, float | int]) -> str | None:
    """One line that says whether a discriminator has won or lost in an epoch; None if neither.

    Examples:
      >>> gan_diagnosis({"epoch": 3, "train/discriminator_generator_loss": 9.0,
      ...                "train/discriminator_accuracy": 0.999})
      'epoch 3: the discriminator is right 99.9 % of the time, so the generator hardly learns any more'
    """
    for name, value in record.items():
        player = name.removeprefix("train/").removesuffix("_accuracy")
        if name != f"train/{player}_accuracy" or f"train/{player}_generator_loss" not in record:
            continue
        player = player if player == "discriminator" else f"discriminator of {player}"
        right = f"epoch {record['epoch']}: the {player} is right {100 * value:.1f} % of the time"
        if value > CERTAIN:
            return f"{right}, so the generator hardly learns any more"
        if value < WORSE_THAN_CHANCE:
            return f"{right}, worse than chance, so it teaches the generator nothing"
    return None


def check_monitor(monitor: str | None, names: Collection[str]) -> str:
    """The validation score that epochs are selected by, if the model has it.

    Raises:
      ValueError: if `monitor` is None, or the model has no such score.

    Examples:
      >>> check_monitor("loss", ["loss", "distortion"])
      'loss'
    """
    if monitor is None:
        term = next((name for name in names if name != "loss"), "distortion")
        raise ValueError(
            "the loss of this model is the sum of two players' losses and does not say which epoch is "
            f"better; monitor a term, such as {term!r}, or leave out the validation"
        )
    if monitor not in names:
        raise ValueError(f"cannot monitor {monitor!r}; the model has {', '.join(names)}")
    return monitor


def varying(model: Autoencoder, steps: int) -> tuple[str, ...]:
    """The names of the weights that change during a training of some steps.

    A schedule may be constant, as ``lambda step: value`` in a sweep over `value` is.

    Examples:
      >>> import jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> networks = mlp_encoder(4), mlp_decoder((8, 8, 1))
      >>> varying(jaxae.vae(*networks, latent_dim=2, beta=lambda step: step / 100), 100)
      ('beta',)
      >>> varying(jaxae.vae(*networks, latent_dim=2, beta=lambda step: 0.5), 100)
      ()
    """
    some = np.unique(np.linspace(0, steps, 65).astype(int)).tolist()
    return tuple(
        name
        for name, weight in model.schedules
        if len({float(at_step(weight, step)) for step in some}) > 1
    )


def check_comparable(scheduled: Collection[str]) -> None:
    """Raises a `ValueError` if weights of the loss follow a schedule: epochs cannot be compared by it.

    Examples:
      >>> check_comparable(())
    """
    if scheduled:
        raise ValueError(
            f"{', '.join(scheduled)} follows a schedule, so losses of two epochs cannot be compared; give "
            "monitor= the name of a term, such as 'distortion'"
        )
