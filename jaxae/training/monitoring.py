"""What the records of a training say: which epoch is better, and whether a discriminator has won."""

from collections.abc import Collection, Mapping

CERTAIN = 0.99
"""A discriminator that is right this often gives the generator no useful gradient any more."""

WORSE_THAN_CHANCE = 0.15
"""One that is right this seldom has collapsed: it teaches the generator nothing."""


def gan_diagnosis(record: Mapping[str, float | int]) -> str | None:
    """Whether a discriminator has won or lost, in one line, from the record of an epoch; else None.

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
    """The score that epochs are selected by.

    Raises:
      ValueError: if there is none, or the model has no such score.

    Examples:
      >>> check_monitor("loss", ["loss", "distortion"])
      'loss'
    """
    if monitor is None:
        raise ValueError(
            "the loss of this model adds up what two players want, so no epoch is better by it; monitor a "
            f"term, such as {next((n for n in names if n != 'loss'), 'distortion')!r}, or leave out the "
            "validation"
        )
    if monitor not in names:
        raise ValueError(f"cannot monitor {monitor!r}; the model has {', '.join(names)}")
    return monitor
