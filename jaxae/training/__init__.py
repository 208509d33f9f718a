"""Training: `fit`, `fit_many`, single steps and epochs, evaluation, optimizers, checkpoints."""

from jaxae.training.batches import Data, Transform
from jaxae.training.checkpoints import Checkpoints
from jaxae.training.ema import EmaState, ema_params, with_ema
from jaxae.training.ensembles import ManyFits, fit_many
from jaxae.training.evaluation import loss_scores, make_evaluate, means
from jaxae.training.feeding import Placement
from jaxae.training.fitting import Fit, fit
from jaxae.training.loop import Interrupted, NonFiniteError
from jaxae.training.monitoring import gan_diagnosis
from jaxae.training.optimizers import every, partition
from jaxae.training.programs import Loop
from jaxae.training.records import Record
from jaxae.training.step import TrainState, init_state, make_epoch, make_step

__all__ = [
    "Checkpoints",
    "Data",
    "EmaState",
    "Fit",
    "Interrupted",
    "Loop",
    "ManyFits",
    "NonFiniteError",
    "Placement",
    "Record",
    "TrainState",
    "Transform",
    "ema_params",
    "every",
    "fit",
    "fit_many",
    "gan_diagnosis",
    "init_state",
    "loss_scores",
    "make_epoch",
    "make_evaluate",
    "make_step",
    "means",
    "partition",
    "with_ema",
]
