"""The optimizers and the lengths of training that flags ask for."""

import dataclasses

import optax

import jaxae
from experiments.shared.datasets import Data
from experiments.shared.flags import Config, ConfigT
from jaxae.runs.optimizers import Adam, build


def with_epochs(config: ConfigT, data: Data, images: float, *, most: int = 10**6) -> ConfigT:
    """The flags with a number of epochs: unless they give one, enough to train on so many images.

    Args:
      config: the flags.
      data: what `datasets.load` returned.
      images: how many images are trained on, counting each once in every epoch.
      most: the largest number of epochs.
    """
    if config.epochs is not None:
        return config
    return dataclasses.replace(config, epochs=min(most, max(1, round(images / len(data.train)))))


def steps(config: Config, data: Data) -> int:
    """The number of updates in the run."""
    assert config.epochs is not None
    return config.epochs * (len(data.train) // data.batch_size)


def adam(config: Config, data: Data, *, b1: float = 0.9, every: int = 1) -> Adam:
    """Adam with the schedule, the weight decay and the clipping of the flags, as plain values.

    Args:
      config: the flags.
      data: what `datasets.load` returned.
      b1: decay of the moving average of the gradient.
      every: update only once in so many steps.
    """
    return Adam(
        learning_rate=config.learning_rate,
        schedule=config.schedule,
        steps=steps(config, data),
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
        b1=b1,
        every=every,
    )


def game_optimizer(
    config: Config, data: Data, *, critic_steps: int = 1, **rates: float
) -> optax.GradientTransformation:
    """An optimizer for each network of an adversarial game.

    The decay of the mean gradient is 0.5, because the loss of each player changes as the other learns.

    Args:
      config: the flags; their learning rate is that of the networks that are not in `rates`.
      data: what `datasets.load` returned.
      critic_steps: the networks that are not in `rates` are updated once in so many steps.
      rates: learning rates by the name of the network.
    """
    named = {
        name: build(adam(dataclasses.replace(config, learning_rate=rate), data, b1=0.5))
        for name, rate in rates.items()
    }
    others = build(adam(config, data, b1=0.5, every=critic_steps))
    return jaxae.training.partition(others, **named)
