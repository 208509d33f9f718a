"""Kills, interrupts and damages training runs, and counts those that reach the undisturbed result.

    python -m benchmarks.faults --kills 200

A small VAE is trained on real digits in a process of its own, with validation, early stopping and a
checkpoint every few steps. It is disturbed repeatedly by one of these faults:

- SIGKILL at a random moment: while it starts, compiles, trains, or writes;
- SIGTERM, after which it saves and prints how to resume;
- SIGKILL and damage to the newest checkpoint: a truncated file, a flipped bit, a removed file, or half of
  all files removed.

After each fault the run must resume from the newest intact checkpoint, with exactly the state that the
undisturbed run had at that step; steps lost before that checkpoint are counted. In the end the parameters,
the optimizer, the best parameters and metrics.jsonl must be those of the undisturbed run, bit for bit. The
last line reports how many faults were survived; the exit code is 1 unless all were and nothing was lost.
"""

import dataclasses
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

EPOCHS, BATCH, EVERY = 6, 64, 7
"""6 epochs of 18 steps, saved every 7 steps, so that most saves are within an epoch."""
DAMAGES = ("cut", "flipped", "removed", "halved")


@dataclasses.dataclass(frozen=True)
class Config:
    """Disturbs training runs."""

    kills: int = 200
    """Number of faults: seven in ten are kills, one is an interruption, two damage a checkpoint."""
    seed: int = 0
    """Seed of the kinds and times of faults."""


def train(folder: str, pipe: Connection) -> None:
    """Trains in this process, and reports through the pipe where it starts and how it ends."""
    import jax
    import numpy as np
    import optax

    import jaxae
    from jaxae.runs.folder import Run
    from jaxae.training import packing

    sys.stderr = sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    digits = jaxae.load("digits")
    model = jaxae.vae(
        jaxae.networks.mlp_encoder(8, (32,), dropout=0.1),
        jaxae.networks.mlp_decoder((8, 8, 1), (32,)),
        jaxae.likelihoods.bernoulli(),
        latent_dim=4,
    )
    run = Run(folder, {"epochs": EPOCHS})
    restore = run.checkpoints.restore

    def restore_and_report(state: Any, best: Any) -> Any:
        saved = restore(state, best)
        found = (0, None) if saved is None else (int(saved.state.step), sums(saved.state))
        pipe.send(("from", *found))
        return saved

    def sums(tree: Any) -> list[int]:
        return packing.checksums(jax.tree.map(np.asarray, tree)).tolist()

    write = run.checkpoints.writer

    @contextmanager
    def report_and_write() -> Iterator[Any]:
        with write() as save:

            def saving(step: int, state: Any, best: Any, meta: dict[str, Any]) -> None:
                pipe.send(("saves", step, sums(state)))
                save(step, state, best, meta)

            yield saving

    run.checkpoints.restore = restore_and_report  # type: ignore[method-assign]
    run.checkpoints.writer = report_and_write  # type: ignore[method-assign]
    try:
        fitted = jaxae.fit(
            model,
            digits.train.images[:1152],
            optimizer=optax.adam(optax.cosine_decay_schedule(3e-3, 200)),
            epochs=EPOCHS,
            key=jax.random.key(0),
            batch_size=BATCH,
            validation=digits.validation.images,
            transform=jaxae.data.binarize,
            patience=EPOCHS - 1,
            ema=0.9,
            checkpoints=run.checkpoints,
            checkpoint_every=EVERY,
            on_epoch=lambda record, *_: run.log(record),
            progress=False,
        )
    except jaxae.Interrupted:
        pipe.send(("stopped",))
        return
    run.finish({"sums": [*sums(fitted.state), *sums(fitted.params)], "best": fitted.best_epoch})
    pipe.send(("done",))


class Trainer:
    """A training process and the messages that it has sent."""

    def __init__(self, folder: Path):
        context = multiprocessing.get_context("forkserver")
        # Imported once, not in every process.
        context.set_forkserver_preload(["jaxae", "orbax.checkpoint", "tensorflow_datasets"])
        self._pipe, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=train, args=(str(folder), theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.said: list[tuple[Any, ...]] = []

    def listen(self, seconds: float | None = None) -> bool:
        """Receives messages until the process ends or the time is up; returns whether it has ended."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                if not self._pipe.poll(left):
                    return False
                self.said.append(self._pipe.recv())
            except (EOFError, ConnectionResetError):
                self._process.join()
                return True

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, and receives the last messages."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)
        self.listen()

    @property
    def came_from(self) -> tuple[int, list[int] | None] | None:
        """The step it resumed from and the checksums of its state; None if it ended before that."""
        found = [said[1:] for said in self.said if said[0] == "from"]
        return found[0] if found else None

    @property
    def ended(self) -> str:
        """How it ended: "done", "stopped", or "killed" where it sent no message."""
        return self.said[-1][0] if self.said else "killed"


def saved_steps(folder: Path) -> list[int]:
    """The steps of the complete checkpoints, newest first, read from the folder."""
    checkpoints = folder / "checkpoints"
    names = [path.name for path in checkpoints.iterdir()] if checkpoints.exists() else []
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def damage(folder: Path, kind: str, draw: random.Random) -> None:
    """Damages the newest checkpoint."""
    newest = folder / "checkpoints" / str(saved_steps(folder)[0])
    files = sorted(path for path in newest.rglob("*") if path.is_file() and path.stat().st_size)
    some = files if kind == "halved" else [draw.choice(files)]
    for path in some:
        content = bytearray(path.read_bytes())
        if kind == "cut":
            path.write_bytes(content[: draw.randrange(len(content))])
        elif kind == "flipped":
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            path.write_bytes(content)
        elif kind == "removed" or draw.random() < 0.5:
            path.unlink()


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without the values that depend on the clock."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [
        {k: v for k, v in json.loads(line).items() if k not in ("seconds", "images_per_second")}
        for line in lines
    ]


def runs(config: Config, home: Path) -> Iterator[tuple[int, int, int]]:
    """For each disturbed run: the number of faults, how many it survived, and the steps lost."""
    undisturbed = home / "undisturbed"
    Trainer(undisturbed).listen()  # also fills the caches
    shutil.rmtree(undisturbed)
    started = time.monotonic()
    trainer = Trainer(undisturbed)
    trainer.listen()
    whole = time.monotonic() - started
    expected = json.loads((undisturbed / "results.json").read_text())
    # Checksums of the state at each step, of the undisturbed run and of runs stopped by a signal.
    states: dict[int, list[int] | None] = {0: None}
    states |= {said[1]: said[2] for said in trainer.said if said[0] == "saves"}
    draw = random.Random(config.seed)
    happened, number = 0, 0
    while happened < config.kills:
        number += 1
        folder, faults, survived, lost = home / str(number), 0, 0, 0
        sound = 0  # the step that it has to resume from
        pending = 0  # faults that it has not yet been seen to survive
        hurt: set[int] = set()  # the steps of damaged checkpoints that it has not yet met
        while True:
            trainer = Trainer(folder)
            act = happened < config.kills
            kind = draw.choices(("kill", "stop", "damage"), (7, 1, 2))[0]
            over = trainer.listen(draw.uniform(0, whole) if act else None)
            if not over:
                trainer.send(signal.SIGTERM if kind == "stop" else signal.SIGKILL)
            if trainer.came_from is not None:
                step, found = trainer.came_from
                right = states.setdefault(step, found) == found
                lost += max(0, sound - step)
                survived += pending if right else 0
                pending = 0
                hurt.clear()
            if trainer.ended == "done":
                break
            if over and trainer.ended != "stopped":
                break  # it failed without a fault
            faults, pending, happened = faults + 1, pending + 1, happened + 1
            steps = saved_steps(folder)
            if kind == "damage" and len(set(steps) - hurt) > 1:
                damage(folder, draw.choice(DAMAGES), draw)
                hurt.add(steps[0])
            sound = max({0, *steps} - hurt)
        results = folder / "results.json"
        same = results.exists() and metrics(folder) == metrics(undisturbed)
        if not (same and json.loads(results.read_text()) == expected):
            survived = 0
        yield faults, survived, lost
        shutil.rmtree(folder)


def main(config: Config) -> int:
    """Runs all, reports, and returns the exit code."""
    if config.kills < 1:
        print("error: --kills must be positive", file=sys.stderr)
        return 2
    total = survived = lost = 0
    with tempfile.TemporaryDirectory() as home:
        for number, (faults, of_these, steps) in enumerate(runs(config, Path(home)), 1):
            total, survived, lost = total + faults, survived + of_these, lost + steps
            print(
                f"run {number}: {faults} faults, {of_these} survived, {steps} steps lost",
                flush=True,
            )
    print(f"survived {survived} of {total}, lost steps beyond the last checkpoint: {lost}")
    return 0 if survived == total and lost == 0 else 1


if __name__ == "__main__":
    import tyro  # not in the processes that train

    raise SystemExit(main(tyro.cli(Config, description=__doc__)))
