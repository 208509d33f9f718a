"""Image files: formats, ranges of levels, stacks, and that streams read the same."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

import jaxae
from jaxae.data.folders import from_folder
from jaxae.data.image_files import read_image, suffixes
from jaxae.data.image_sets import check_reading
from jaxae.data.messages import DataWarning
from tests.data.files import grey, rows, write

RAMP = np.arange(36, dtype=np.uint16).reshape(6, 6)


def train(folder, **options):
    return from_folder(folder, options.pop("image_size", None), **options)["train"]


def both_ways(folder, **options):
    """The images of a folder, which must be the same if they are streamed."""
    whole = train(folder, **options)
    streamed = train(folder, stream=True, **options)
    assert isinstance(streamed.images, jaxae.Stream)
    np.testing.assert_array_equal(streamed.images[:], whole.images)
    assert streamed.images.shape == whole.images.shape
    np.testing.assert_array_equal(streamed.labels, whole.labels)
    # Whether alpha channels are opaque is known only after the pixels have been read.
    assert [note for note in streamed.notes if "alpha channel" not in note] == list(whole.notes)
    return whole


@pytest.mark.parametrize(
    "name",
    [
        *("a.pgm", "a.pnm", "a.tga", "a.jp2", "a.bmp", "a.tif", "a.webp", "a.ico", "a.pcx"),
        *("a.PNG", "a.Tiff", "a.sgi", "a.dib", "a.im", "a.qoi", "a.avif"),
    ],
)
def test_formats_without_loss(tmp_path, name):
    if f".{name.split('.')[1].lower()}" not in suffixes():
        pytest.skip("Pillow was built without this format")
    image = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    picture = Image.fromarray(image)
    picture = picture.convert("RGB") if name == "a.qoi" else picture
    options = {"lossless": True} if name == "a.webp" else {}
    picture.save(tmp_path / name, **options)
    difference = train(tmp_path).images[0].mean(-1) - image
    assert np.abs(difference).max() <= (40 if name == "a.avif" else 0)


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.jpg", "a"])
def test_other_suffixes_of_jpeg(tmp_path, name):
    Image.new("L", (8, 8), 77).save(tmp_path / name, "JPEG")
    assert (train(tmp_path).images == 77).all()


def test_suffixes_that_are_wrong_or_missing(tmp_path):
    for i, name in enumerate(["a.jpg", "b", "c.img", "d.bin"]):
        Image.new("L", (8, 8), 60 * (1 + i)).save(tmp_path / name, "PNG" if i else "TIFF")
    assert train(tmp_path).images[:, 0, 0, 0].tolist() == [60, 120, 180, 240]


def test_formats_that_cannot_be_read_are_counted(tmp_path):
    write(tmp_path, "a.png", grey(1)[0])
    for name in ("1.heic", "2.HEIC", "3.cr2", "4.eps", "5.dcm", "6"):
        (tmp_path / name).write_bytes(b"II*\0 raw" if name == "3.cr2" else b"no picture")
    (tmp_path / "labels.csv").write_text("1,2")
    with pytest.warns(DataWarning) as caught:
        notes = train(tmp_path).notes
    (said,) = (str(warning.message) for warning in caught)
    assert said.startswith(f"{tmp_path}: 1 of 8 files were read")
    for part in ("2 .heic files (1.heic)", "1 .cr2 file (3.cr2)", "1 .eps file", "1 .dcm file"):
        assert part in said
    assert "1 file without a suffix (6)" in said
    assert ".csv" not in said
    assert "1 .csv file (labels.csv)" in notes[0]


def test_programs_are_not_run_for_files_of_another_format(tmp_path):
    """Pillow starts Ghostscript for PostScript, whatever the suffix is."""
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nquit\n")
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("scale", "white"), [(1, 255), (7, 255), (28, 1023), (100, 4095), (400, 16383), (1800, 65535)]
)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_the_bit_depth_of_16_bit_files(tmp_path, scale, white, suffix):
    """It is decided from all files together."""
    write(tmp_path, f"a.{suffix}", RAMP * scale)
    write(tmp_path, f"b.{suffix}", RAMP // 30)
    expected = np.round(np.stack([RAMP * scale, RAMP // 30]) * (255 / white))
    if white == 65535:
        images = both_ways(tmp_path)
        assert "white is taken to be 65,535" in " ".join(images.notes)
    else:
        with pytest.warns(DataWarning, match=f"white is taken to be {white:,};.*--levels"):
            images = both_ways(tmp_path)
    np.testing.assert_array_equal(images.images[..., 0], expected)


def test_the_range_is_that_of_all_splits(tmp_path):
    for name, scale in (("train/a/1.png", 10), ("train/b/1.png", 10), ("test/a/1.png", 100)):
        write(tmp_path, name, RAMP * scale)
    with pytest.warns(DataWarning, match="4,095"):
        splits = from_folder(tmp_path, None)
    assert splits["train"].images.max() == round(350 * 255 / 4095)
    assert splits["test"].images.max() == round(3500 * 255 / 4095)


def test_bytes_in_files_of_16_and_32_bits(tmp_path):
    write(tmp_path / "stretched", "a.png", RAMP * 257)
    np.testing.assert_array_equal(both_ways(tmp_path / "stretched").images[0, ..., 0], RAMP)
    write(tmp_path / "wide", "a.tif", (7 * RAMP).astype(np.int32))
    with pytest.warns(DataWarning, match="the 32-bit files .* 255"):
        images = both_ways(tmp_path / "wide").images
    np.testing.assert_array_equal(images[0, ..., 0], 7 * RAMP)


def save_tiff(path, array, photometric=0):
    """A TIFF file of 16 bits, whose tag says whether zero is white."""
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(array).save(path, tiffinfo={262: photometric})


@pytest.mark.parametrize(("scale", "white"), [(1800, 65535), (100, 4095)])
@pytest.mark.filterwarnings("ignore::jaxae.data.messages.DataWarning")
def test_files_in_which_zero_is_white(tmp_path, scale, white):
    save_tiff(tmp_path / "a.tif", RAMP * scale)
    with Image.open(tmp_path / "a.tif") as file:
        assert file.tag_v2[262] == 0
    expected = np.round((white - RAMP.astype(float) * scale) * (255 / white))
    np.testing.assert_array_equal(both_ways(tmp_path).images[0, ..., 0], expected)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], expected)


@pytest.mark.parametrize(("scale", "white"), [(1 / 35, 1), (7, 255), (1000, 65535)])
@pytest.mark.filterwarnings("ignore::jaxae.data.messages.DataWarning")
def test_files_of_floats(tmp_path, scale, white):
    write(tmp_path, "a.tif", (RAMP * scale).astype(np.float32))
    expected = np.round((RAMP * scale).astype(np.float32).astype(float) * (255 / white))
    np.testing.assert_array_equal(both_ways(tmp_path).images[0, ..., 0], expected)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((4, 4), np.nan, np.float32), "not finite"),
        (np.full((4, 4), -1.0, np.float32), "from -1 to -1; shift"),
        (np.full((4, 4), 1.5, np.float32), "floats up to 1.5; scale .* or give"),
        (np.full((4, 4), -1024, np.int32), "from -1024"),
        (np.full((4, 4), 70000, np.int32), "70000, which do not fit into 16 bits; give .*--levels"),
    ],
)
def test_levels_without_a_range(tmp_path, array, message):
    path = write(tmp_path, "a.tif", array)
    for stream in (False, True):
        with pytest.raises(ValueError, match=message) as caught:
            train(tmp_path, stream=stream)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_level_of_white_can_be_given(tmp_path):
    write(tmp_path, "a.png", RAMP * 100)
    images = both_ways(tmp_path, levels=3500)
    np.testing.assert_array_equal(images.images[0, ..., 0], np.round(RAMP * (255 / 35)))
    assert "white is 3,500 in 16-bit files, as given" in " ".join(images.notes)
    with pytest.raises(ValueError, match=r"a\.png has the level 3500, .* levels=3000 \(--levels"):
        train(tmp_path, levels=3000)
    for bad in (0, -1, 1.5, "12", True):
        with pytest.raises(ValueError, match="levels must be a positive integer"):
            check_reading("first", bad)
    # It is of deep files if it is not a byte.
    write(tmp_path, "b.png", np.full((6, 6), 200, np.uint8))
    assert (both_ways(tmp_path, levels=3500).images[1] == 200).all()


def test_bytes_that_are_small(tmp_path):
    mask = (RAMP % 2).astype(np.uint8)
    write(tmp_path / "mask", "a.png", mask)
    write(tmp_path / "mask", "b.png", 0 * mask)
    images = both_ways(tmp_path / "mask")
    np.testing.assert_array_equal(images.images[0, ..., 0], 255 * mask)
    assert any("black and white" in note for note in images.notes)
    write(tmp_path / "dark", "a.png", (RAMP % 17).astype(np.uint8))
    with pytest.warns(DataWarning, match=r"is dark: .*levels=31 \(--levels 31"):
        images = both_ways(tmp_path / "dark")
    np.testing.assert_array_equal(images.images[0, ..., 0], RAMP % 17)
    np.save(tmp_path / "dark.npy", (RAMP % 17).astype(np.uint8)[None].repeat(9, 0))
    with pytest.warns(DataWarning) as said:  # the same words for an array file
        jaxae.load(tmp_path / "dark.npy")
    assert str(said[0].message).partition(" is dark: ")[2] in " ".join(images.notes)
    images = both_ways(tmp_path / "dark", levels=16)
    np.testing.assert_array_equal(images.images[0, ..., 0], np.round(RAMP % 17 * (255 / 16)))


def save_stack(path, arrays, **options):
    path.parent.mkdir(exist_ok=True, parents=True)
    first, *others = [Image.fromarray(array) for array in arrays]
    first.save(path, save_all=True, append_images=others, **options)


@pytest.mark.parametrize("suffix", ["tif", "gif", "webp", "png"])
def test_files_with_several_images(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    x = np.random.default_rng(0).integers(0, 256, (12, 9, 7), np.uint8)
    for i in range(4):
        save_stack(tmp_path / "ab"[i % 2] / f"{i}.{suffix}", x[3 * i : 3 * i + 3], **options)
    with pytest.warns(DataWarning) as caught:
        first = both_ways(tmp_path)
    assert "4 files with several images (0." in str(caught[0].message)
    assert "8 are left out; frames='all' (--frames all" in str(caught[0].message)
    assert len(first.images) == 4
    with warnings.catch_warnings():
        # Whether alpha channels of a WebP file are opaque is not known before it is read.
        warnings.simplefilter("ignore" if suffix == "webp" else "error")
        images = both_ways(tmp_path, frames="all")
    order = [0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11]
    np.testing.assert_array_equal(images.images.mean(-1), x[order])
    assert images.labels.tolist() == 6 * [0] + 6 * [1]
    assert "12 images in 4 files of a 6, b 6" in images.notes[0]
    with pytest.raises(ValueError, match="frames must be 'first' or 'all', got 'every'"):
        train(tmp_path, frames="every")


def test_stacks_of_16_bits(tmp_path):
    x = np.random.default_rng(0).integers(0, 4096, (5, 6, 6), np.uint16)
    x[4, 0, 0] = 4095
    save_stack(tmp_path / "a.tif", x)
    with pytest.warns(DataWarning, match="4,095"):
        images = both_ways(tmp_path, frames="all").images
    np.testing.assert_array_equal(images[..., 0], np.round(x * (255 / 4095)))


def test_grey_among_colours_in_any_order_and_split(tmp_path):
    x = grey(1)[0]
    for split in ("train", "test"):
        for i in range(2):
            write(tmp_path, f"{split}/a/{i}.png", x)
            write(tmp_path, f"{split}/b/{i}.png", x)
    write(tmp_path, "test/b/9.png", np.stack([x, x, 255 - x], axis=-1))
    splits = from_folder(tmp_path, None)
    assert [part.images.shape[1:] for part in splits.values()] == [(6, 5, 3), (6, 5, 3)]
    write(tmp_path, "train/b/9.png", np.stack([x, x, 255 - x], axis=-1))
    images = both_ways(tmp_path).images
    assert images.shape[1:] == (6, 5, 3)
    np.testing.assert_array_equal(images[-1, ..., 2], 255 - x)
    assert "8 grey files read as colours" in " ".join(train(tmp_path).notes)


@pytest.mark.parametrize("stream", [False, True])
def test_errors_name_the_file(tmp_path, stream):
    write(tmp_path, "a.png", grey(1)[0])
    write(tmp_path, "b.png", grey(1, (7, 7))[0])
    with pytest.raises(
        ValueError, match=r"a\.png is 6 x 5 x 1 and .*b\.png is 7 x 7 x 1; give an image"
    ):
        train(tmp_path, stream=stream)
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"b\.png cannot be read as an image"):
        train(tmp_path, stream=stream)


def test_a_picture_on_its_side(tmp_path):
    x = grey(1, (6, 4))[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter to the right
    for i, suffix in enumerate(("png", "tif", "webp", "tiff")):
        options = {"compression": "tiff_lzw"} if suffix == "tiff" else {}
        options |= {"lossless": True} if suffix == "webp" else {}
        Image.fromarray(x).save(tmp_path / f"{i}.{suffix}", exif=exif, **options)
    images = both_ways(tmp_path).images
    for image in images:
        np.testing.assert_array_equal(image.mean(-1), np.rot90(x, -1))


def test_inks_and_palettes(tmp_path):
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    Image.new("RGB", (4, 4), (255, 0, 0)).convert("P").save(tmp_path / "b.png")
    images = both_ways(tmp_path).images
    assert rows(images[:1]) == rows(images[1:])
    assert images[0, 0, 0].tolist() == [255, 0, 0]


def save_deep_png(path, levels):
    """A PNG file of 16 bits per channel, `[h, w, 3]`, which Pillow cannot write."""

    def chunk(kind, data):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    height, width, _ = levels.shape
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def test_colours_of_16_bits(tmp_path):
    """Pillow reads the upper eight bits."""
    x = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint16)
    save_deep_png(tmp_path / "a.png", x * 257)
    np.testing.assert_array_equal(both_ways(tmp_path).images[0], x)
    save_deep_png(tmp_path / "a.png", x * 16)
    for stream in (False, True):
        with pytest.raises(
            ValueError, match=r"a\.png has 16-bit colours with levels below 4096, of"
        ):
            train(tmp_path, stream=stream)


def test_formats_that_say_what_is_white(tmp_path):
    """A portable grey map has the level of white in its header, and JPEG 2000 a number of bits."""
    x = np.random.default_rng(0).integers(0, 900, (5, 6), np.uint16)
    header = b"P5 6 5 1000\n"
    (tmp_path / "a.pgm").write_bytes(header + x.astype(">u2").tobytes())
    found = both_ways(tmp_path).images[0, ..., 0]
    assert np.abs(found.astype(float) - x * (255 / 1000)).max() <= 1
    (tmp_path / "a.pgm").unlink()
    write(tmp_path, "a.jp2", x)
    np.testing.assert_array_equal(both_ways(tmp_path).images[0, ..., 0], np.round(x / 257))


def test_signed_bytes(tmp_path):
    path = tmp_path / "a.tif"
    Image.new("L", (4, 4), 200).save(path, tiffinfo={339: 2})
    with Image.open(path) as file:
        assert file.tag_v2[339] == (2,)
    with pytest.raises(ValueError, match=r"a\.tif cannot be read as an image: .*signed bytes"):
        train(tmp_path)


@pytest.mark.parametrize(("suffix", "options"), [("gif", {}), ("webp", {"lossless": True})])
@pytest.mark.parametrize("frames", ["first", "all"])
def test_grey_images_that_are_stored_as_colours(tmp_path, suffix, options, frames):
    """Formats without grey levels: in memory and in a stream, what is grey has one channel."""
    stacks = grey(12, (8, 8)).reshape(3, 4, 8, 8)
    for i, stack in enumerate(stacks):
        save_stack(tmp_path / "a" / f"{i}.{suffix}", stack, **options)
    expected = stacks.reshape(12, 8, 8) if frames == "all" else stacks[:, 0]

    def read(stream):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return from_folder(tmp_path, None, stream, frames=frames)["train"].images[:]

    for stream in (False, True):
        np.testing.assert_array_equal(read(stream)[..., 0], expected)
        assert read(stream).shape[-1] == 1
    save_stack(tmp_path / "a" / f"3.{suffix}", grey(4 * 3, (8, 8)).reshape(4, 8, 8, 3), **options)
    for stream in (False, True):
        images = read(stream)
        assert images.shape[-1] == 3
        np.testing.assert_array_equal(images[: len(expected)], expected[..., None].repeat(3, -1))


def test_grey_palettes(tmp_path):
    image = (7 * RAMP).astype(np.uint8)
    Image.fromarray(image).convert("P").save(tmp_path / "a.png")
    np.testing.assert_array_equal(both_ways(tmp_path).images, image[None, ..., None])


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "it is empty"), (b"version https://git-lfs.github.com/spec/v1", "git lfs pull")],
)
def test_files_without_an_image(tmp_path, content, words):
    (tmp_path / "a.png").write_bytes(content)
    for stream in (False, True):
        with pytest.raises(ValueError, match=rf"a\.png cannot be read as an image: .*{words}"):
            train(tmp_path, stream=stream)


def test_an_image_of_too_many_pixels(tmp_path, monkeypatch):
    write(tmp_path, "a.png", grey(1, (8, 8))[0])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(
        ValueError, match=r"a\.png cannot be read .* too many pixels .*; make it smaller"
    ):
        train(tmp_path)
