"""Several processes on one machine that train one model, with collectives on CPU."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.distributed, pytest.mark.xdist_group("distributed")]

ROOT = Path(__file__).parents[2]
FLAGS = ["--dataset", "digits", "--hidden", "16", "--code", "2", "--batch-size", "64"]


def start(count, folder, *flags):
    """Starts an experiment as a number of processes; a single one is not distributed."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    processes = []
    for index in range(count):
        environment = os.environ | {"JAX_PLATFORMS": "cpu"}
        if count > 1:
            environment |= {
                "JAX_COORDINATOR_ADDRESS": address,
                "JAX_NUM_PROCESSES": str(count),
                "JAX_PROCESS_ID": str(index),
            }
        command = [
            sys.executable,
            "-m",
            "experiments.vae",
            *FLAGS,
            "--run-dir",
            str(folder),
            *(flag.format(index=index) for flag in flags),
        ]
        if count > 1:
            command.append("--distributed")
        processes.append(
            subprocess.Popen(
                command,
                env=environment,
                cwd=ROOT,
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
            )
        )
    return processes


def finish(processes, code=0):
    said = []
    for process in processes:
        try:
            _, error = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            for other in processes:
                other.kill()
            raise
        said.append(error.decode())
        assert process.returncode == code, error.decode()
    return said


def metrics(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    clocks = ("seconds", "images_per_second")
    return [{k: v for k, v in json.loads(s).items() if k not in clocks} for s in lines]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run folder of a single process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    finish(start(1, folder, "--epochs", "6"))
    return folder


def same(folder, alone):
    one, other = metrics(alone), metrics(folder)
    assert [r["epoch"] for r in other] == [1, 2, 3, 4, 5, 6]
    for a, b in zip(one, other, strict=True):
        assert b == pytest.approx(a, rel=1e-4)
    results = [json.loads((f / "results.json").read_text()) for f in (alone, folder)]
    assert results[1]["test/nll"] == pytest.approx(results[0]["test/nll"], rel=1e-4)


@pytest.mark.parametrize(
    "flags", [("--placement", "host"), ("--placement", "stream", "--shard-params")], ids=" ".join
)
def test_two_processes_are_one(tmp_path, alone, flags):
    folder = tmp_path / "run"
    said = finish(start(2, folder, "--epochs", "6", *flags))
    same(folder, alone)
    assert not any("Traceback" in text for text in said)


@pytest.mark.parametrize("victim", [0, 2])
def test_fewer_go_on_after_one_was_killed(tmp_path, alone, victim):
    """Also the first, which holds the connections: JAX then ends the others itself."""
    folder = tmp_path / "run"
    processes = start(4, folder, "--epochs", "6", "--checkpoint-every", "5")
    deadline = time.monotonic() + 240
    while not list((folder / "checkpoints").glob("[0-9]*[0-9]")):
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes)
        time.sleep(0.02)
    processes[victim].send_signal(signal.SIGKILL)
    finish([processes.pop(victim)], code=-signal.SIGKILL)
    for text in finish(processes, code=2):
        assert "error: another process is gone" in text
        assert text.strip().endswith("start all of them again with the same --run-dir")
    assert not (folder / "results.json").exists()
    finish(start(2, folder, "--epochs", "6", "--checkpoint-every", "5"))
    same(folder, alone)


def test_one_goes_on_alone_after_one_was_asked_to_stop(tmp_path, alone):
    folder = tmp_path / "run"
    processes = start(2, folder, "--epochs", "6", "--checkpoint-every", "1")
    deadline = time.monotonic() + 240
    while not list((folder / "checkpoints").glob("[0-9]*[0-9]")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    processes[1].send_signal(signal.SIGTERM)
    for text in finish(processes, code=130):
        assert f"to resume, repeat the command with --run-dir {folder}" in text
    finish(start(1, folder, "--epochs", "6"))
    same(folder, alone)


def test_all_need_the_same_flags(tmp_path):
    """And where the first cannot go on, the others end with one line too."""
    folder = tmp_path / "run"
    one, other = start(2, folder, "--epochs", "6", "--seed", "{index}")
    for text in finish([one, other], code=2):
        assert "the processes were started with different flags" in text
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    first, second = finish(start(2, folder, "--epochs", "6"), code=2)
    assert "has files in it but no config.json" in first
    assert "another process cannot go on" in second


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"JAX_NUM_PROCESSES": "2"}, "also needs JAX_COORDINATOR_ADDRESS and JAX_PROCESS_ID"),
        (
            {
                "JAX_COORDINATOR_ADDRESS": "localhost:1",
                "JAX_NUM_PROCESSES": "2",
                "JAX_PROCESS_ID": "2",
            },
            "a smaller one, got 2 and 2",
        ),
        ({}, "cannot find or reach the other processes"),
    ],
)
def test_the_environment_names_the_processes(tmp_path, variables, message):
    command = [sys.executable, "-m", "experiments.vae", "--distributed", "--run-dir", str(tmp_path)]
    done = subprocess.run(
        command, env=os.environ | variables, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
