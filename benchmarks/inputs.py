"""Files, folders and arrays of all kinds: each is read correctly, or a message says what is wrong.

    python -m benchmarks.inputs
    python -m benchmarks.inputs --only labels

Each case writes its files and states, independently of the readers of jaxae, what they contain: the number,
the mean grey levels and the shape of the images of each class and split, or the words that must be printed
if they cannot be read. A command in a process of its own then reads them and trains for an epoch. A case is
`silent` if the data are wrong and no message says so, and `refused` if the command stopped on data that can
be read. The last line has the counts; the exit code is 1 unless all cases are correct or reported.
"""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks import array_inputs, folder_inputs
from benchmarks.input_cases import Case, problem, statistics

CASES: dict[str, Case] = array_inputs.CASES | folder_inputs.CASES
SECONDS = 120
"""Time limit of a case."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Reads files, folders and arrays of all kinds."""

    only: str = ""
    """Run the cases whose names contain this."""
    jobs: int = os.cpu_count() or 1
    """Number of cases at once."""


def read_and_train(config: Any) -> dict[str, Any]:
    """Reads the data as every experiment does, and trains a small autoencoder for an epoch."""
    import jax
    import optax

    import jaxae
    from experiments.shared import datasets

    data = datasets.load(config)
    shape = data.test.shape[1:]
    model = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(2, (4,)), jaxae.networks.mlp_decoder(shape, (4,))
    )
    fitted = jaxae.fit(
        model,
        data.train,
        optimizer=optax.adam(1e-3),
        epochs=1,
        key=jax.random.key(0),
        batch_size=min(8, len(data.train)),
        placement=data.placement,
    )
    parts = {"train": data.train[:], "validation": data.validation, "test": data.test}
    images = {split: np.asarray(part) for split, part in parts.items()}
    groups = {"all": statistics(np.concatenate(list(images.values())))}
    # If there are no validation images, they are split off the training set.
    groups |= {f"split:{split}": statistics(part) for split, part in images.items()}
    rest = np.concatenate([images["train"], images["validation"]])
    groups["split:train and validation"] = statistics(rest)
    if all(part is not None for part in data.labels):
        labels = np.concatenate([np.asarray(part) for part in data.labels])
        together = np.concatenate(list(images.values()))
        for label in np.unique(labels):
            name = data.classes[label] if data.classes and label >= 0 else str(label)
            groups[f"class:{name}"] = statistics(together[labels == label])
    return {
        "shape": shape,
        "groups": groups,
        "protocol": data.protocol,
        "loss": fitted.history[-1]["train/loss"],
    }


def child(flags: tuple[str, ...], folder: Path) -> None:
    """Runs the command in this process; writes found.json, and what is printed to said.txt."""
    os.chdir(folder.parent / f"{folder.name}.work")
    with open(folder.parent / f"{folder.name}.said.txt", "wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    from experiments.shared.flags import Config as Flags
    from jaxae.runs.command import command

    def main(config: Any) -> None:
        found = read_and_train(config)
        (folder.parent / f"{folder.name}.found.json").write_text(json.dumps(found))

    sys.argv = ["inputs", *flags]
    code = 0
    try:
        command(main, Flags, None)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(code)  # a forked process must not wait for threads that it does not have


def run(number: int, case: Case, folder: Path) -> str:
    """What is wrong with a case; empty if it is correct or reported."""
    work = folder / f"{number}.work"
    work.mkdir()
    expected = case(work)
    process = multiprocessing.get_context("fork").Process(
        target=child, args=(expected.flags, folder / str(number))
    )
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
        return f"traceback: it took more than {SECONDS} seconds"
    said = (folder / f"{number}.said.txt").read_text(errors="replace")
    path = folder / f"{number}.found.json"
    found = json.loads(path.read_text()) if process.exitcode == 0 and path.exists() else None
    if process.exitcode not in (0, 2) and "Traceback" not in said:
        return f"traceback: exit code {process.exitcode}"
    if found is not None:
        if not np.isfinite(found["loss"]):
            return "silent: the loss is not finite"
        said += found["protocol"]
        if expected.truth is not None and "split:validation" not in expected.truth.groups:
            found["groups"]["split:train"] = found["groups"]["split:train and validation"]
    return problem(expected, found, said)


def main(config: Config) -> int:
    """Runs the cases and prints those that fail; returns the exit code."""
    started = time.perf_counter()
    # Imported once, before the processes of the cases are forked; this uses no device.
    import jaxae.data.datasets  # noqa: F401

    chosen = {name: case for name, case in CASES.items() if config.only in name}
    problems = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jaxae-inputs-")))
        pool = stack.enter_context(ThreadPoolExecutor(config.jobs))
        outcomes = pool.map(run, range(len(chosen)), chosen.values(), [folder] * len(chosen))
        for name, outcome in zip(chosen, outcomes, strict=True):
            problems.append(outcome.split(":")[0])
            if outcome:
                print(f"{name}: {outcome}", flush=True)
    right = problems.count("")
    print(
        f"right or said: {right} of {len(chosen)}, silent: {problems.count('silent')}, "
        f"tracebacks: {problems.count('traceback')} ({time.perf_counter() - started:.0f} s)"
    )
    return int(right < len(chosen))


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Config, description=__doc__)))
