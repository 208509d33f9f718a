"""Comparing runs from the files in their folders."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from jaxae.commands import compare
from jaxae.runs.comparison import curves, grouping, page, table
from jaxae.runs.comparison.entries import _by_model, read
from jaxae.runs.comparison.grouping import group
from jaxae.runs.comparison.pictures import SHOWN, strip_png, strips
from jaxae.runs.folder import LAYOUT
from jaxae.runtime.files import exclusive

RESULTS = {
    "test/psnr": 20.0,
    "test/nll": 100.0,
    "mean_image/squared_error": 50.0,
    "best_epoch": 2,
    "epochs": 2,
    "parameters": 1234,
    "seconds": 3.0,
}
DATA = {"test images": "10x8x8x1-aa", "training images": "100x8x8x1-bb"}


def folder(path, *, results=None, epochs=2, parts=(), record=None, **flags):
    """A run folder, as far as a comparison reads it."""
    path.mkdir(parents=True)
    config = {
        "experiment": "vae",
        "dataset": "digits",
        "epochs": 2,
        "seed": 0,
        "data": DATA,
    } | flags
    found = {"layout": LAYOUT, "config": config} | (record or {})
    found |= {"parts": list(parts)} if parts else {}
    (path / "config.json").write_text(json.dumps(found))
    lines = [
        {"epoch": i, "step": i, "seconds": 1.0, "train/loss": 9.0 / i, "validation/loss": 10.0 / i}
        for i in range(1, epochs + 1)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if results is not None:
        (path / "results.json").write_text(json.dumps(results))
    return path


def groups(*folders):
    return group([entry for path in folders for entry in read(path)])


def test_runs_that_differ_by_the_seed_only_are_one_row(tmp_path):
    values = [20.0, 21.0, 23.5]
    runs = [
        folder(tmp_path / f"a-seed{i}", results=RESULTS | {"test/psnr": v}, seed=i)
        for i, v in enumerate(values)
    ]
    other = folder(tmp_path / "b", results=RESULTS, code=3)
    found = groups(*runs, other)
    assert [g.label for g in found] == ["a", "b"]
    statistic = found[0].statistic("psnr")
    assert statistic.mean == pytest.approx(np.mean(values))
    assert statistic.sd == pytest.approx(np.std(values, ddof=1))
    assert statistic.runs == 3
    assert found[1].statistic("psnr").sd is None
    assert found[0].statistic("parameters", "cost").mean == 1234


def test_runs_on_other_test_images_are_never_one_row_nor_compared(tmp_path):
    other = DATA | {"test images": "10x8x8x1-cc"}
    found = groups(
        folder(tmp_path / "a", results=RESULTS),
        folder(tmp_path / "b", results=RESULTS | {"test/psnr": 30.0}, seed=1, data=other),
    )
    assert len(found) == 2 == len(grouping.by_data(found))
    assert all(not grouping.best(section, "psnr") for section in grouping.by_data(found).values())


def test_flags_that_differ(tmp_path):
    found = groups(
        folder(tmp_path / "a", code=2, beta=1.0),
        folder(tmp_path / "b", code=20, beta=1.0),
        folder(tmp_path / "c", code=20, experiment="autoencoder"),
    )
    assert grouping.differing_flags(found) == {
        "experiment": ["vae", "vae", "autoencoder"],
        "code": ["2", "20", "20"],
    }
    assert grouping.partial_flags(found) == {"beta": ["1", "1", "-"]}
    assert [grouping.own_flags(found, i) for i in range(3)] == ["code 2", "code 20", ""]


def test_a_continued_run_is_not_one_of_the_same_flags(tmp_path):
    stretch = {"from_epoch": 2, "epochs": 5, "learning_rate": 0.1, "schedule": "constant"}
    found = groups(
        folder(tmp_path / "a", results=RESULTS),
        folder(tmp_path / "b", results=RESULTS, seed=1, record={"continued": [stretch]}),
    )
    assert [g.label for g in found] == ["a", "b"]
    assert grouping.differing_flags(found)["continued"] == ["none", "+5 epochs"]


def test_runs_without_results_are_shown_as_such(tmp_path):
    stopped = folder(tmp_path / "stopped", epochs=1)
    with open(stopped / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 2, "ste')
    begun = folder(tmp_path / "begun", epochs=0, code=4)
    damaged = folder(tmp_path / "damaged", results=RESULTS, code=5)
    (damaged / "results.json").write_text('{"test/psnr": 2')
    training = folder(tmp_path / "training", epochs=1, code=6)
    with exclusive(training):
        found = groups(stopped, begun, damaged, training)
    states = [g.first.status for g in found]
    assert states[0] == "no results, stopped after epoch 1 of 2"
    assert states[1] == "no results, stopped before the end of its first epoch"
    assert states[3] == "training, after epoch 1 of 2"
    assert "damaged" in found[2].first.notes[0]
    html = page.page(found, [])
    assert all(state in html for state in states)


def test_models_of_one_run_are_rows_and_other_methods_baselines(tmp_path):
    run = tmp_path / "run"
    results = {"rate_0.2/psnr": 20.0, "AE/psnr": 21.0, "AE/psnr_sd": 0.1, "pca/psnr": 19.0}
    folder(run, results=results, epochs=0, parts=("rate-0.2", "AE-0", "AE-1"))
    for name in ("rate-0.2", "AE-0", "AE-1"):
        folder(run / name, part=name)
    entries = read(run)
    assert [(e.part, len(e.histories)) for e in entries] == [("rate_0.2", 1), ("AE", 2)]
    assert entries[0].baselines == {"pca": {"psnr": 19.0}}
    assert [e.name for e in read(run, "AE")] == ["run/AE"]
    with pytest.raises(ValueError, match=r"has no part 'x'; its parts: rate_0.2, AE"):
        read(run, "x")


def test_the_best_is_marked_where_values_can_be_compared(tmp_path):
    runs = [
        folder(tmp_path / "a", results=RESULTS, likelihood="bernoulli", code=1),
        folder(
            tmp_path / "b", results=RESULTS | {"test/nll": 90.0}, likelihood="bernoulli", code=2
        ),
    ]
    found = groups(*runs)
    assert grouping.best(found, "nll") == {1}
    assert grouping.best(found, "psnr") == set()  # equal
    assert grouping.best(found, "rate") == set()
    third = folder(
        tmp_path / "c",
        results=RESULTS | {"test/psnr": 25.0, "test/nll": 1.0},
        likelihood="gaussian",
    )
    found = groups(*runs, third)
    assert grouping.best(found, "nll") == set()  # of other likelihoods
    assert grouping.best(found, "psnr") == {2}
    assert "do not compare them" in page.page(found, [])


def test_the_mean_curve_is_of_epochs_that_all_runs_have(tmp_path):
    found = groups(folder(tmp_path / "a0"), folder(tmp_path / "a1", epochs=1, seed=1))
    (panel,) = curves.curve_data(found, ["red"])["panels"]
    validation, train = panel["series"]
    assert validation["mean"] == [[1, 10.0]]
    assert validation["runs"] == [[[1, 10.0], [2, 5.0]], [[1, 10.0]]]
    assert (train["train"], panel["only_train"]) == (True, False)


def test_names_cannot_end_the_script_or_a_tag(tmp_path):
    bad = folder(tmp_path / "a<b>&\"'<script>", dataset="</script><b>", results=RESULTS)
    html = page.page(groups(bad), [])
    assert "<b>&" not in html
    assert html.count("</script>") == 2
    curves = html.split('id="curves">')[1].split("</script>")[0]
    assert json.loads(curves)["groups"][0]["label"] == bad.name


def test_the_command(tmp_path, capsys):
    runs = [folder(tmp_path / f"r{i}", results=RESULTS, code=i) for i in range(8)]
    config = compare.Config(runs=tuple(map(str, runs)), out=str(tmp_path / "x" / "page.html"))
    compare.main(config)
    printed = capsys.readouterr()
    assert all(run.name in printed.out for run in runs)
    page = (tmp_path / "x" / "page.html").read_text()
    # Folders without a recipe are named with the reason, instead of images.
    assert page.count("records no recipe") == 8
    with pytest.raises(ValueError, match="exists already; give another --out, or --overwrite"):
        compare.main(config)
    with pytest.raises(ValueError, match="is not a run folder"):
        compare.main(compare.Config(runs=(str(tmp_path),), out=str(tmp_path / "y.html")))
    assert not (tmp_path / "y.html").exists()


def test_few_runs_are_columns(tmp_path, capsys):
    table.print_table(
        groups(
            folder(tmp_path / "one", results=RESULTS, code=1),
            folder(tmp_path / "two", results=RESULTS | {"test/psnr": 21.0}, code=2),
        )
    )
    lines = capsys.readouterr().out.splitlines()
    assert any("--code" in line and "1" in line and "2" in line for line in lines)
    assert any("PSNR" in line and "21*" in line and "20*" not in line for line in lines)


def test_a_strip_is_one_picture_of_all_images():
    import base64
    import io

    from PIL import Image

    images = np.zeros((SHOWN, 200, 100, 3), np.uint8)
    images[3] = 255
    picture = Image.open(io.BytesIO(base64.b64decode(strip_png(images))))
    assert picture.height == 96
    assert picture.mode == "RGBA"
    row = np.asarray(picture)[40]
    assert (row[:, 3] == 0).sum() == (SHOWN - 1) * 4  # gaps of 8 %
    assert (row[:, 0] == 255).sum() == 48


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_draws_the_curves(tmp_path):
    found = groups(
        *(folder(tmp_path / f"a{i}", results=RESULTS, seed=i) for i in range(2)),
        folder(tmp_path / "b", results=RESULTS, code=3),
    )
    path = tmp_path / "page.html"
    path.write_text(page.page(found, strips(found)[0]))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    done = subprocess.run(
        [*command, "--dump-dom", f"file://{path}"], capture_output=True, text=True, timeout=60
    )
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count('class="mean"') == 2
    assert done.stdout.count('class="run"') == 2
    # One run is hidden, the curves of the training are shown, and the first table is sorted.
    clicks = (
        "<script>document.querySelector('.legend button').click();"
        "document.querySelector('[name=train]').click();"
        "document.querySelectorAll('th.sortable')[0].click();"
        "document.querySelectorAll('th.sortable')[0].click()</script></body>"
    )
    path.write_text(path.read_text().replace("</body>", clicks))
    done = subprocess.run(
        [*command, "--dump-dom", f"file://{path}"], capture_output=True, text=True, timeout=60
    )
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count('class="mean"') == 1
    assert done.stdout.count('class="mean train"') == 1
    assert done.stdout.count('class="run"') == 0
    body = done.stdout.split("<tbody>")[1]
    assert body.index('data-value="b"') < body.index('data-value="a"')


def test_a_run_whose_parameters_are_not_finite_has_a_reason_in_place_of_images(
    tmp_path, monkeypatch
):
    import jax

    import jaxae
    from jaxae.networks import mlp_decoder, mlp_encoder
    from jaxae.runs.comparison import pictures
    from jaxae.runs.loading import TrainedRun

    model = jaxae.vae(mlp_encoder(4, (3,)), mlp_decoder((8, 8, 1), (3,)), latent_dim=2)
    params = jax.tree.map(
        lambda p: np.full(p.shape, np.nan, np.float32),
        jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((2, 8, 8, 1))),
    )
    record = {"config": {}, "inputs": {"shape": [8, 8, 1], "dataset": "digits"}}
    loaded = TrainedRun(tmp_path, model, params, record)
    monkeypatch.setattr(pictures, "load_run", lambda folder, part: loaded)
    shown, counts = strips(groups(folder(tmp_path / "a", results=RESULTS)))
    assert [bool(strip.png) for strip in shown] == [False, False]
    assert all("must be in [0, 1]" in strip.note for strip in shown)
    assert counts == {0: sum(p.size for p in jax.tree.leaves(params))}


def test_results_of_a_run_of_several_runs_are_those_of_its_models():
    found = _by_model(
        {
            "test/psnr": 1.0,
            "code_2/test/psnr": 2.0,
            "code_2/validation/loss": 3.0,
            "code_2/mean_image/psnr": 4.0,
        }
    )
    assert found["test"] == {"psnr": 1.0}
    assert found["code_2"] == {"psnr": 2.0, "validation/loss": 3.0}
    assert found["mean_image"] == {"psnr": 4.0}
