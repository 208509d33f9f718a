"""The optimizers and the lengths of training that flags ask for."""

import dataclasses

import jax
import optax

import jaxae
from experiments.shared.datasets import Data
from experiments.shared.flags import Config, ConfigT


def with_epochs(config: ConfigT, data: Data, images: float, *, most: int = 10**6) -> ConfigT:
    """The flags; unless they give the epochs, with as many as show this number of images."""
    if config.epochs is not None:
        return config
    return dataclasses.replace(config, epochs=min(most, max(1, round(images / len(data.train)))))


def steps(config: Config, data: Data) -> int:
    """How many updates the run makes."""
    assert config.epochs is not None
    return config.epochs * (len(data.train) // data.batch_size)


def make_optimizer(
    config: Config, data: Data, *, b1: float = 0.9, every: int = 1
) -> optax.GradientTransformation:
    """Adam with the schedule, the weight decay and the clipping that the flags ask for.

    Args:
      config: the flags.
      data: what `load` returned.
      b1: the decay of the mean gradient.
      every: it moves once in so many steps.
    """
    total = max(1, steps(config, data) // every)
    rise = min(config.warmup_steps, total // 2)
    rate: optax.ScalarOrSchedule = config.learning_rate
    if config.schedule == "cosine":
        rate = optax.cosine_decay_schedule(config.learning_rate, total - rise)
    if rise:
        after = rate if callable(rate) else optax.constant_schedule(rate)
        begin = optax.linear_schedule(0.0, config.learning_rate, rise)
        rate = optax.join_schedules([begin, after], [rise])
    parts = [] if config.clip_norm is None else [optax.clip_by_global_norm(config.clip_norm)]
    if config.weight_decay > 0:
        matrices = lambda params: jax.tree.map(lambda p: p.ndim > 1, params)  # noqa: E731
        parts.append(optax.adamw(rate, b1=b1, weight_decay=config.weight_decay, mask=matrices))
    else:
        parts.append(optax.adam(rate, b1=b1))
    return jaxae.training.every(optax.chain(*parts), every)


def game_optimizer(
    config: Config, data: Data, *, critic_steps: int = 1, **rates: float
) -> optax.GradientTransformation:
    """An optimizer for each player of a game, which forget fast, since the other one moves.

    Args:
      config: the flags, of which the learning rate is that of all networks not named.
      data: what `load` returned.
      critic_steps: those move once in so many steps.
      rates: the learning rates of the networks that are named.
    """
    named = {
        name: make_optimizer(dataclasses.replace(config, learning_rate=rate), data, b1=0.5)
        for name, rate in rates.items()
    }
    return jaxae.training.partition(
        make_optimizer(config, data, b1=0.5, every=critic_steps), **named
    )
