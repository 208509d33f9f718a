"""Continuing a run: the same as training longer, resumable, recorded, and refused where it cannot be."""

import json

import jax
import numpy as np
import optax
import pytest

import jaxae
from experiments import vae
from jaxae.commands import continue_
from jaxae.runs import continuing
from jaxae.runs.continuing import Wanted, continue_run
from jaxae.runs.optimizers import Adam, Stretch, build, learning_rate
from tests.experiments.running import TIMING, config, lines


def small(tmp_path, folder="run", **options):
    flags = {"hidden": (8,), "code": 2, "nll_samples": 3, "schedule": "constant", "clip_norm": 9.0}
    return config(vae, tmp_path, run_dir=str(tmp_path / folder), **flags | options)


def timeless(results):
    return {k: v for k, v in results.items() if k not in TIMING | {"protocol"}}


def test_continuing_at_a_constant_rate_is_training_longer(tmp_path, monkeypatch):
    first = vae.main(small(tmp_path, epochs=1, binarize=True))
    (tmp_path / "run/figures/codes.png").write_bytes(b"of the old parameters")
    found = continue_run(tmp_path / "run", Wanted(2))
    expected = vae.main(small(tmp_path, "long", epochs=3, binarize=True))
    assert timeless(found) == timeless(expected)
    assert lines(tmp_path / "run") == lines(tmp_path / "long")
    one, other = (jaxae.load_run(tmp_path / name) for name in ("run", "long"))
    jax.tree.map(np.testing.assert_array_equal, one.params, other.params)
    np.testing.assert_array_equal(one.code_mean, other.code_mean)
    assert json.loads((tmp_path / "run/results-1.json").read_text()) == first
    (record,) = json.loads((tmp_path / "run/config.json").read_text())["continued"]
    assert (record["from_epoch"], record["epochs"], record["complete"]) == (1, 2, True)
    assert record["version"] == jaxae.__version__
    # Figures of the old parameters are not among the new ones.
    drawn, expected = (
        {path.name for path in (tmp_path / name / "figures").iterdir()} for name in ("run", "long")
    )
    assert drawn == expected | {"epoch-1"}
    aside = tmp_path / "run/figures/epoch-1/codes.png"
    assert aside.read_bytes() == b"of the old parameters"
    # The command that made the run reports the new results, and trains nothing.
    assert vae.main(small(tmp_path, epochs=1, binarize=True)) == found
    with pytest.raises(ValueError, match="jaxae continue"):
        vae.main(small(tmp_path, epochs=5, binarize=True))
    interrupted_and_repeated(tmp_path / "run", monkeypatch)


def interrupted_and_repeated(run, monkeypatch):
    """No epoch is trained or counted twice, and the old results stay until there are new ones."""
    old = json.loads((run / "results.json").read_text())

    def broken(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(continuing, "evaluate_run", broken)
        with pytest.raises(KeyboardInterrupt):
            continue_run(run, Wanted(1, 1e-3, "cosine"))
    assert json.loads((run / "results.json").read_text()) == old
    # The new parameters are used already, of which these results and codes are not.
    going_on = jaxae.load_run(run)
    assert going_on.results is None
    assert len(going_on.history) == 4
    with pytest.raises(ValueError, match=r"continued for 1 epoch \(learning rate 0.001, cosine\)"):
        continue_run(run, Wanted(2))
    assert continue_run(run, Wanted(1))["epochs"] == 4 == len(lines(run))
    recorded = json.loads((run / "config.json").read_text())["continued"]
    assert [one["from_epoch"] for one in recorded] == [1, 3]
    assert [one["schedule"] for one in recorded] == ["constant", "cosine"]
    assert (run / "results-3.json").exists()


def test_schedules_of_the_stretches():
    plan = Adam(learning_rate=0.1, schedule="cosine", steps=10)
    stretches = [Stretch(10, 4, 0.01, "cosine"), Stretch(14, 6, 0.5, "constant")]
    rates = [learning_rate(plan, stretches, step) for step in (0, 5, 10, 12, 14, 19)]
    np.testing.assert_allclose(rates, [0.1, 0.05, 0.01, 0.005, 0.5, 0.5], rtol=1e-5)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_constant_rate_becomes_a_cosine_without_another_state(decay):
    """Against Adam with the same schedule from the start; optax keeps a count of its own for it."""
    plan = Adam(learning_rate=0.1, schedule="constant", steps=3, weight_decay=decay, clip_norm=1.0)
    optimizer = build(plan, [Stretch(3, 4, 0.2, "cosine")])
    params = {"w": jax.numpy.ones((2, 2))}
    first = build(plan)
    assert jax.tree.structure(first.init(params)) == jax.tree.structure(optimizer.init(params))
    rate = lambda count: jax.numpy.where(
        count < 3, 0.1, 0.1 * (1 + jax.numpy.cos(jax.numpy.pi * (count - 3) / 4))
    )
    expected = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=decay))
    states = optimizer.init(params), expected.init(params)
    for step in range(7):
        gradient = {"w": jax.numpy.full((2, 2), 1.0 + step)}
        one, own = optimizer.update(gradient, states[0], params)
        other, theirs = expected.update(gradient, states[1], params)
        states = own, theirs
        np.testing.assert_allclose(one["w"], other["w"], rtol=1e-5, atol=1e-9)


def test_what_cannot_be_continued_says_why(tmp_path):
    with pytest.raises(ValueError, match="--epochs must be positive, got 0"):
        continue_.main(continue_.Config(run=str(tmp_path), epochs=0))
    with pytest.raises(ValueError, match="is not a run folder"):
        continue_run(tmp_path / "nothing", Wanted(1))
    for record, reason in (
        ({"parts": ["a", "b"]}, "several models"),
        ({"recipe": {}}, "does not record how it was trained"),
        ({"recipe": {}, "training": {}, "use": {"task": "colorize"}}, "task: colorize"),
        ({"recipe": {}, "training": {"why_not": "of that"}}, "of that"),
    ):
        assert reason in continuing.why_not(record)
    assert continuing.why_not({"recipe": {}, "training": {}}) is None
