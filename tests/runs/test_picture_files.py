"""Applying functions of images to picture files, folders and arrays."""

import numpy as np
import pytest
from PIL import Image

from jaxae.runs import picture_files
from jaxae.runs.inputs import Inputs

INPUTS = Inputs((8, 8, 3))


def picture(path, mode="RGB", size=(4, 3), value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "I;16":
        raw = np.full(size[::-1], value, np.uint16).tobytes()
        Image.frombytes("I;16", size, raw).save(path)
    else:
        Image.new(mode, size, value).save(path)
    return path


def as_floats(images, alpha):
    return images / 255 if images.dtype == np.uint8 else images


def applied(files, out, paint=as_floats, inputs=INPUTS, overwrite=False, **options):
    targets = picture_files.name_results(files, out, "new", overwrite=overwrite)
    picture_files.apply(targets, paint, inputs, **options)
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "RGBA", "I;16"])
def test_pictures_of_every_mode(mode, tmp_path, capsys):
    path = picture(tmp_path / "a.png", mode, value=0)
    found = []

    def paint(images, alpha):
        found.append(images)
        return images / 255

    assert applied([path], tmp_path / "out", paint) == {"a-new.png"}
    (images,) = found
    assert images.shape == (1, 3, 4, 3 if mode in ("RGB", "RGBA") else 1)
    assert images.dtype == np.uint8
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'out' / 'a-new.png'}\n"
    assert said.err.count("alpha channel is ignored") == (mode == "RGBA")


def test_values_are_clipped(tmp_path):
    path = picture(tmp_path / "a.png")
    applied([path], tmp_path / "out", lambda images, alpha: 4 * (images / 255) - 0.9)
    found = np.asarray(Image.open(tmp_path / "out" / "a-new.png"))
    assert found[0, 0].tolist() == [170, 0, 0]


def test_a_folder_keeps_its_subfolders(tmp_path, capsys):
    folder = tmp_path / "photos"
    for name in ("2.png", "10.png", "cats/1.png", "dogs/1.png"):
        picture(folder / name)
    (folder / "notes.weird").write_text("x")
    found = applied([folder, picture(tmp_path / "alone.png")], tmp_path / "out")
    names = {"2-new.png", "10-new.png", "cats/1-new.png", "dogs/1-new.png", "alone-new.png"}
    assert found == names
    assert "note: " in (said := capsys.readouterr().err)
    assert "notes.weird" in said
    # Results within the folder are not read again.
    for overwrite in (False, True):
        assert applied([folder], folder / "out", overwrite=overwrite) == names - {"alone-new.png"}
    picture(tmp_path / "done" / "out" / "a-new.png")
    with pytest.raises(ValueError, match="no pictures but those in"):
        picture_files.name_results([tmp_path / "done"], tmp_path / "done" / "out", "new")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty"):
        picture_files.name_results([tmp_path / "empty"], tmp_path / "out", "new")


def test_nothing_is_overwritten_without_the_flag(tmp_path):
    path, out = picture(tmp_path / "a.png"), tmp_path / "out"
    applied([path], out)
    before = (out / "a-new.png").read_bytes()
    other = picture(tmp_path / "a.png", value=7)
    with pytest.raises(
        ValueError, match=r"a-new.png exists already; give another --out, or --overwrite"
    ):
        applied([other], out)
    with pytest.raises(ValueError, match=r"a-new.png exists already"):
        applied([other, picture(tmp_path / "b.png")], out)
    assert (out / "a-new.png").read_bytes() == before
    assert not (out / "b-new.png").exists()
    applied([other], out, overwrite=True)
    assert (out / "a-new.png").read_bytes() != before


def test_names_that_collide(tmp_path):
    one, two = picture(tmp_path / "a.png"), picture(tmp_path / "a.bmp")
    with pytest.raises(ValueError, match=r"a.png and .*a.bmp would both be written to .*a-new.png"):
        picture_files.name_results([one, two], tmp_path / "out", "new")
    assert len(picture_files.name_results([one, one], tmp_path / "out", "new")) == 1
    other = picture(tmp_path / "a-new.png")
    with pytest.raises(ValueError, match=r"a-new.png is one of the pictures"):
        picture_files.name_results([one, other], tmp_path, "new", overwrite=True)
    with pytest.raises(ValueError, match=r"a.png is a file; --out is a folder"):
        picture_files.name_results([two], one, "new")


def test_a_file_that_fails_does_not_stop_the_others(tmp_path, capsys):
    for name, mode in (("good", "RGB"), ("bad", "RGB"), ("clear", "RGBA"), ("huge", "L")):
        picture(tmp_path / f"{name}.png", mode)
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "text.npy").write_text("not an array")

    def paint(images, alpha):
        if images.shape[-1] == 1:
            raise MemoryError
        if (tmp_path / "out" / "good-new.png").exists() and "bad" not in seen:
            seen.append("bad")
            raise ValueError("too dark")
        return images / 255

    seen = []
    names = ("good.png", "bad.png", "clear.png", "huge.png", "text.png", "text.npy", "missing.png")
    with pytest.raises(ValueError, match=r"2 of 7 files done; .*bad.png: too dark") as error:
        applied([tmp_path / name for name in names], tmp_path / "out", paint)
    for part in ("huge.png: too large for the memory", "text.png", "text.npy", "missing.png"):
        assert part in str(error.value)
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {"good-new.png", "clear-new.png"}


def test_a_message_does_not_name_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_files, "NAMED", 2)
    names = [tmp_path / f"{i}.png" for i in range(5)]
    with pytest.raises(ValueError, match=r"0 of 5 files done; .*0.png.*1.png.*; and 3 more$") as e:
        applied(names, tmp_path / "out")
    assert "2.png" not in str(e.value)


def test_files_are_not_half_written(tmp_path, monkeypatch):
    def full(self, file, **options):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    path = picture(tmp_path / "x.png")
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(ValueError, match=r"0 of 1 file done; .*x.png: .*No space left"):
        applied([path], tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_the_level_of_white_is_that_of_the_run(tmp_path, capsys):
    path = picture(tmp_path / "a.png", "I;16", value=900)
    values = []

    def paint(images, alpha):
        values.append(int(images.max()))
        return images / 255

    applied([path], tmp_path / "out", paint)
    assert "white is taken to be 1,023" in capsys.readouterr().err
    applied([path], tmp_path / "two", paint, INPUTS._replace(levels=4095))
    assert capsys.readouterr().err == ""
    applied([path], tmp_path / "three", paint, INPUTS._replace(levels=4095), levels=1800)
    assert values == [round(900 / white * 255) for white in (1023, 4095, 1800)]
    for value, levels, expected in ((100, 204, 125), (1, None, 255)):
        applied(
            [picture(tmp_path / "b.png", "L", value=value)],
            tmp_path / str(value),
            paint,
            levels=levels,
        )
        assert values[-1] == expected


def test_only_the_first_image_of_a_stack_is_used(tmp_path, capsys):
    frames = [Image.new("L", (4, 3), value) for value in (200, 100)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    applied([tmp_path / "a.tif"], tmp_path / "out")
    assert "only the first of its 2 images is used" in capsys.readouterr().err
    assert np.asarray(Image.open(tmp_path / "out" / "a-new.png")).max() == 200


def test_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_files, "CHUNK", 2)
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(5))
    np.save(tmp_path / "b.npy", np.float32(images[..., 0]) / 255)
    sizes, parts = [], []

    def paint(images, alpha):
        sizes.append(len(images))
        return as_floats(images, alpha)

    def track(steps):
        parts.append(len(steps))
        return steps

    names = [tmp_path / "a.npz", tmp_path / "b.npy"]
    found = applied(names, tmp_path / "out", paint, track_chunks=track)
    assert found == {"a-new.npz", "b-new.npz"}
    one, two = (np.load(tmp_path / "out" / f"{name}-new.npz")["images"] for name in "ab")
    np.testing.assert_allclose(one, images / 255, atol=1e-6)
    np.testing.assert_allclose(two, images[..., :1] / 255, atol=1e-6)
    assert one.dtype == np.float32
    assert sizes == [2, 2, 1, 2, 2, 1]
    assert parts == [3, 3]


def test_an_array_whose_layout_is_not_clear_has_that_of_the_training_images(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 3, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="ambiguous"):
        applied([tmp_path / "a.npy"], tmp_path / "out")
    first = INPUTS._replace(channels="first")
    applied([tmp_path / "a.npy"], tmp_path / "out", inputs=first)
    assert np.load(tmp_path / "out" / "a-new.npz")["images"].shape == (5, 8, 8, 3)
    applied([tmp_path / "a.npy"], tmp_path / "two", inputs=first, channels="last")
    assert np.load(tmp_path / "two" / "a-new.npz")["images"].shape == (5, 3, 8, 8)


def test_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(picture_files, "CHUNK", 1)

    def paint(images, alpha):
        assert alpha.shape == (*images.shape[:3], 1)
        return np.where(alpha < 0.5, 1, images / 255)

    rgba = np.zeros((2, 6, 7, 4), np.uint8)
    rgba[..., 3] = 255
    rgba[0, 0, 0, 3] = 100  # less than half
    Image.fromarray(rgba[0]).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", rgba)
    applied([tmp_path / "a.png", tmp_path / "b.npy"], tmp_path / "out", paint, uses_alpha=True)
    found = np.asarray(Image.open(tmp_path / "out" / "a-new.png"))
    assert found[0, 0].tolist() == [255, 255, 255]
    assert found.sum() == 3 * 255
    assert np.load(tmp_path / "out" / "b-new.npz")["images"].sum() == 3
    assert capsys.readouterr().err == ""

    def fails(images, message):
        path = tmp_path / "c.png"
        Image.fromarray(images).save(path)
        with pytest.raises(ValueError, match=rf"c.png: {message}"):
            applied([path], tmp_path / "out", paint, uses_alpha=True)

    fails(rgba[1], "nothing is missing")
    fails(rgba[1, ..., :3], "nothing is missing")
    fails(0 * rgba[1], "everything is missing")
    np.save(tmp_path / "d.npy", rgba[..., :3])
    with pytest.raises(ValueError, match=r"d.npy.*last channel of an array has to be the opacity"):
        applied([tmp_path / "d.npy"], tmp_path / "out", paint, uses_alpha=True)
