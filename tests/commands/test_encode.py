"""`jaxae encode`: codes of pictures, folders, arrays and data sets."""

import csv
import warnings

import numpy as np
import pytest

import jaxae
from jaxae.data.streams import Stream
from jaxae.runs import code_files, sources
from tests.commands.conftest import write_picture


def read(path):
    with np.load(path) as found:
        return dict(found)


def table(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_pictures_of_any_kind_are_encoded_and_a_corrupt_one_is_named(
    vae_run, jaxae_command, digits, tmp_path
):
    images = digits.test.images[:2, ..., 0]
    same = write_picture(tmp_path / "same.png", images[0])
    colour = write_picture(tmp_path / "colour.png", np.repeat(images[1][..., None], 3, -1))
    large = write_picture(tmp_path / "large.png", images[0].repeat(3, 0).repeat(3, 1))
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 50)
    gone = tmp_path / "gone.png"
    out = tmp_path / "new" / "codes.npz"
    code, said, err = jaxae_command("encode", vae_run, same, bad, colour, gone, large, "--out", out)
    assert code == 2
    assert "error: 3 of 5 pictures done; " in err
    assert f"there is no file or folder {gone}" in err
    assert f"{bad} cannot be read as an image" in err
    assert "note: 1 of 3 pictures is of another size" in err
    assert "note: 1 picture was made grey" in err
    assert str(out) in said
    found, run = read(out), jaxae.load_run(vae_run)
    assert found["files"].tolist() == [str(same), str(colour), str(large)]
    np.testing.assert_allclose(found["codes"][:2], run.encode(digits.test.images[:2]), atol=1e-5)
    np.testing.assert_array_equal(found["mean"], run.code_mean)
    np.testing.assert_array_equal(found["std"], run.code_std)
    assert "labels" not in found
    rows = table(out.with_suffix(".csv"))
    assert rows[0] == ["file", "label", "z0", "z1", "z2"]
    assert [row[:2] for row in rows[1:]] == [[str(same), ""], [str(colour), ""], [str(large), ""]]
    np.testing.assert_array_equal(
        np.array([row[2:] for row in rows[1:]], np.float32), found["codes"]
    )


def test_an_output_that_exists_is_kept(vae_run, jaxae_command, tmp_path):
    picture = write_picture(tmp_path / "a.png", np.zeros((8, 8)))
    (tmp_path / "codes.csv").write_text("precious")
    arguments = ("encode", vae_run, picture, "--out", tmp_path / "codes.npz")
    code, _, err = jaxae_command(*arguments)
    assert code == 2
    assert "codes.csv exists already; give another --out, or --overwrite" in err
    assert (tmp_path / "codes.csv").read_text() == "precious"
    assert not (tmp_path / "codes.npz").exists()
    assert jaxae_command(*arguments, "--overwrite")[0] == 0
    assert (tmp_path / "codes.csv").read_text().startswith("file,label,z0")


def test_folders_give_labels(vae_run, jaxae_command, digits, tmp_path):
    for split in ("train", "test"):
        for i, name in enumerate(("cat", "10", "9")):
            pixels = digits.test.images[i, ..., 0]
            write_picture(tmp_path / "data" / split / name / f"{i}.png", pixels)
    out = tmp_path / "codes.npz"
    assert jaxae_command("encode", vae_run, tmp_path / "data", "--out", out)[0] == 0
    found = read(out)
    assert found["classes"].tolist() == ["9", "10", "cat"]
    for name, label in zip(found["files"], found["labels"], strict=True):
        assert f"/{found['classes'][label]}/" in name
    assert {row[1] for row in table(tmp_path / "codes.csv")[1:]} == {"cat", "10", "9"}


def test_arrays_and_data_sets_keep_their_labels(vae_run, jaxae_command, digits, tmp_path):
    run = jaxae.load_run(vae_run)
    arrays = tmp_path / "a.npz"
    np.savez(arrays, images=digits.test.images[:4], labels=digits.test.labels[:4])
    out = tmp_path / "codes.npz"
    assert jaxae_command("encode", vae_run, arrays, "--out", out)[0] == 0
    found = read(out)
    np.testing.assert_allclose(found["codes"], run.encode(digits.test.images[:4]), atol=1e-5)
    np.testing.assert_array_equal(found["labels"], digits.test.labels[:4])
    assert found["files"][3] == f"{arrays}[3]"

    assert jaxae_command("encode", vae_run, "--out", out, "--overwrite")[0] == 0
    found = read(out)
    np.testing.assert_allclose(found["codes"], run.encode(digits.test.images), atol=1e-5)
    np.testing.assert_array_equal(found["labels"], digits.test.labels)
    assert found["index"].tolist() == list(range(len(digits.test.images)))
    assert table(tmp_path / "codes.csv")[0][0] == "index"

    other = tmp_path / "large.npy"
    np.save(other, digits.train.images[:20].repeat(2, 1).repeat(2, 2))
    arguments = ("encode", vae_run, "--dataset", other, "--split", "train", "--out", out)
    code, _, err = jaxae_command(*arguments, "--overwrite")
    assert code == 0
    assert "pictures are of another size" in err
    assert read(out)["codes"].shape[1] == 3


def test_a_file_of_the_same_name_is_not_the_data_of_the_run(vae_run, tmp_path, monkeypatch):
    """A run that was trained on data.npz of one folder is used in another, which has a data.npz too."""
    for folder, value in (("trained", 50), ("other", 100)):
        (tmp_path / folder).mkdir()
        x = np.full((20, 8, 8), value, np.uint8)
        np.savez(tmp_path / folder / "data.npz", x_train=x, x_test=x)
    run = jaxae.load_run(vae_run)
    run.config = {"dataset": "data.npz"}
    run.inputs = run.inputs._replace(dataset=str(tmp_path / "trained" / "data.npz"))
    monkeypatch.chdir(tmp_path / "other")

    def value(dataset, **reading):
        return sources.read_data(run, dataset, "test", **reading).images[0, 0, 0, 0]

    assert value("data.npz", levels=255) == 100
    assert value(None, levels=255) == value("../trained/data.npz", levels=255) == 50
    assert value(None, levels=100) in (
        127,
        128,
    )  # flags of reading count for the data of the run, too


def test_levels_of_all_pictures_are_decided_together(vae_run, tmp_path):
    """A dark picture of 12 bits is not stretched to white."""
    from PIL import Image

    inputs = jaxae.load_run(vae_run).inputs
    paths = []
    for name, level in (("dark", 400), ("bright", 4095)):
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray(np.full((8, 8), level, np.uint16)).save(paths[-1])
    found = sources.read_pictures(inputs, paths)
    assert found.images[:, 0, 0, 0].tolist() == [round(400 / 4095 * 255), 255]
    given = sources.read_pictures(inputs, paths, levels=65535)
    assert given.images[:, 0, 0, 0].tolist() == [round(400 / 257), round(4095 / 257)]
    # As the run was trained, unless they are given.
    trained = inputs._replace(levels=4095)
    alone = sources.read_pictures(trained, paths[:1])
    assert alone.images[0, 0, 0, 0] == round(400 / 4095 * 255)
    given = sources.read_pictures(trained, paths[:1], levels=65535)
    assert given.images[0, 0, 0, 0] == round(400 / 257)


def test_a_stream_is_binarised_as_the_array_of_its_images(vae_run, monkeypatch):
    run = jaxae.load_run(vae_run)
    run.inputs = run.inputs._replace(binarize=True)
    monkeypatch.setattr(sources, "CHUNK", 4)
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 1), np.uint8)
    stream = Stream(list(range(10)), lambda i: images[i])
    np.testing.assert_array_equal(sources.encode(run, stream), sources.encode(run, images))


def test_codes_of_several_arrays_have_names_and_no_table(tmp_path):
    codes = {"deep": np.zeros((2, 3)), "skips": [np.ones((2, 4, 4, 1)), np.ones((2, 2, 2, 5))]}
    examples = sources.Examples(np.zeros((2, 8, 8, 1)), ("a", "b"), None, ())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lines = code_files.write(tmp_path / "c.npz", codes, examples)
    assert set(read(tmp_path / "c.npz")) == {
        "codes/deep",
        "codes/skips/0",
        "codes/skips/1",
        "files",
    }
    assert not (tmp_path / "c.csv").exists()
    assert "c.csv is not written, because the codes are 3 arrays" in lines[1]
    with pytest.raises(ValueError, match="not one vector but 3 arrays"):
        sources.single_code(codes)


def test_a_run_of_images_that_are_not_square_refuses_other_sizes(tmp_path):
    from jaxae.runs.inputs import Inputs

    good = write_picture(tmp_path / "good.png", np.zeros((4, 6)))
    bad = write_picture(tmp_path / "bad.png", np.zeros((9, 9)))
    found = sources.read_pictures(Inputs((4, 6, 1)), [good, bad])
    assert found.names == (str(good),)
    assert "bad.png: the picture is 9 x 9" in found.failed[0]


def test_a_run_of_binary_images_says_that_pixels_are_drawn(tmp_path):
    from jaxae.runs.inputs import Inputs

    picture = write_picture(tmp_path / "a.png", np.full((8, 8), 100))
    found = sources.read_pictures(Inputs((8, 8, 1), binarize=True), [picture])
    assert "each pixel is made black or white at random" in found.notes[0]
    assert sources.read_pictures(Inputs((8, 8, 1)), [picture]).notes == ()
