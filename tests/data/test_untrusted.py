"""Damaged and malicious files: no crash, no hang, and a message of one line."""

import io
import json
import struct
import zipfile
import zlib

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

import jaxae
from jaxae.data.array_files import from_file
from jaxae.data.folders import from_folder
from jaxae.data.image_files import read_image
from jaxae.runs.folder import Run

FUZZ = settings(
    max_examples=150,
    deadline=5000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


def one_line(error):
    text = str(error)
    assert text
    assert len(text.splitlines()) == 1
    assert len(text) < 600


def attempt(function, *arguments):
    """The result of a function, or None if it raises a `ValueError` of one line."""
    said = None
    try:
        return function(*arguments)
    except ValueError as error:
        said = error
    one_line(said)
    return None


def npy(header: str, data: bytes = b"", version=(1, 0)) -> bytes:
    text = header.encode("latin1", "replace")
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(text) % 65536) + text + data


shapes = st.lists(st.integers(-2, 2**40) | st.sampled_from([0, 1, 3, 8]), max_size=6).map(tuple)
types = st.sampled_from(
    ["|u1", "<f4", "|b1", "<f8", "|O", "<U5", "<i8", "V7", "<M8[s]", "nonsense", ""]
)


@FUZZ
@given(
    shape=shapes,
    kind=types,
    data=st.binary(max_size=200),
    order=st.sampled_from(["False", "True", "7"]),
    end=st.binary(max_size=3),
)
def test_headers_of_npy_files(tmp_path, shape, kind, data, order, end):
    header = f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}\n"
    path = tmp_path / "images.npy"
    path.write_bytes(npy(header, data) + end)
    found = attempt(from_file, path, None)
    if found is not None:
        assert found.images.ndim == 4
        assert found.images.size <= 200


@FUZZ
@given(
    content=st.binary(max_size=400),
    begins=st.sampled_from([b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04"]),
)
def test_random_bytes_as_an_array(tmp_path, content, begins):
    for name in ("images.npy", "images.npz"):
        (tmp_path / name).write_bytes(begins + content)
        attempt(from_file, tmp_path / name, None)


@FUZZ
@given(place=st.integers(0, 10**6), bits=st.integers(1, 255), cut=st.integers(0, 10**6))
def test_damaged_archives(tmp_path, place, bits, cut):
    buffer = io.BytesIO()
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1), np.uint8)
    np.savez_compressed(buffer, images=images, labels=np.arange(5))
    content = bytearray(buffer.getvalue())
    content[place % len(content)] ^= bits
    path = tmp_path / "images.npz"
    path.write_bytes(content[: cut % (2 * len(content)) + 1])
    attempt(from_file, path, None)


FORMATS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]


@FUZZ
@given(
    kind=st.sampled_from(FORMATS),
    changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=6),
)
def test_damaged_images(tmp_path, kind, changes):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for place, value in changes:
        content[place % len(content)] = value
    path = tmp_path / f"image.{kind.lower()}"
    path.write_bytes(content)
    found = attempt(read_image, path)
    assert found is None or found.dtype == np.uint8


@FUZZ
@given(
    content=st.binary(max_size=300), suffix=st.sampled_from(["png", "jpg", "gif", "tiff", "webp"])
)
def test_random_bytes_as_an_image(tmp_path, content, suffix):
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    (folder / f"a.{suffix}").write_bytes(content)
    attempt(from_folder, folder, None)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


@FUZZ
@given(value=values | st.dictionaries(st.sampled_from(["config", "versions"]), values))
def test_config_files(tmp_path, value):
    (tmp_path / "config.json").write_text(json.dumps(value))
    if attempt(Run, tmp_path, {"epochs": 2}) is not None:
        assert value["config"] == {"epochs": 2}


@FUZZ
@given(content=st.binary(max_size=200))
def test_config_files_of_anything(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    assert attempt(Run, tmp_path, {"epochs": 2}) is None
    (tmp_path / "results.json").write_bytes(content)
    (tmp_path / "config.json").write_text('{"layout": 2, "config": {"epochs": 2}}')
    results = Run(tmp_path, {"epochs": 2}).results
    assert results is None or isinstance(results, dict)


def test_a_header_that_claims_too_much(tmp_path):
    path = tmp_path / "images.npy"
    shape = (10**7, 1000, 1000, 3)
    path.write_bytes(npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n", b"x"))
    with pytest.raises(ValueError, match=r"images\.npy cannot be read") as error:
        from_file(path, None)
    one_line(error.value)


def test_an_archive_that_claims_too_much(tmp_path):
    """A compressed file of a megabyte whose header claims four terabytes."""
    path = tmp_path / "images.npz"
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (4000000, 1000, 1000, 1), }\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", npy(header, bytes(10**6)))
    with pytest.raises(ValueError, match="cannot be read") as error:
        from_file(path, None)
    one_line(error.value)


def test_an_image_that_claims_too_much(tmp_path):
    """A PNG file whose header claims 60,000 x 60,000 pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(10**6)))
    )
    path = tmp_path / "a.png"
    path.write_bytes(content + chunk(b"IEND", b""))
    with pytest.raises(ValueError, match="cannot be read as an image") as error:
        read_image(path)
    one_line(error.value)


def test_no_file_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    for name, save in (("a.npy", np.save), ("a.npz", lambda p, a: np.savez(p, images=a))):
        array = np.empty(1, object)
        array[0] = Bomb()
        save(tmp_path / name, array)
        with pytest.raises(ValueError, match="cannot be read"):
            from_file(tmp_path / name, None)
    with pytest.raises(ValueError, match="cannot be read"):
        jaxae.analysis.fid_features(tmp_path / "a.npz")


def test_no_file_is_extracted_from_an_archive(tmp_path):
    """Arrays are read from an archive by name, and no file is extracted."""
    path = tmp_path / "deep" / "images.npz"
    path.parent.mkdir()
    images = np.zeros((5, 4, 4, 1), np.uint8)
    buffer = io.BytesIO()
    np.save(buffer, images)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", buffer.getvalue())
        archive.writestr("../../escaped.npy", buffer.getvalue())
    assert from_file(path, None).images.shape == images.shape
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["deep", "images.npz"]
