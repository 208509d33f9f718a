"""What a page contains, and what is refused before anything is written; without a browser."""

import base64
import json
import re
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae.commands import explore
from jaxae.commands import flags as command_flags
from jaxae.explorer import content, weights, write_explorer
from jaxae.explorer.javascript import Constants, generate
from jaxae.explorer.tracing import trace
from tests.explorer import runs


def values_of(path):
    """The values of a page."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    return json.loads(found[1])


def array(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


@pytest.fixture(scope="module")
def run():
    return runs.stand_in(runs.mlp(code=3), runs.GREY)


def test_a_page_has_the_codes_and_their_directions(run, tmp_path):
    path = tmp_path / "page.html"
    found = write_explorer(run, path)
    values = values_of(path)
    data = runs.pictures(runs.GREY)
    codes = run.encode(data.images)
    np.testing.assert_array_equal(array(values["codes"]).reshape(-1, 3), codes)
    mean, axes = array(values["mean"]), array(values["axes"]).reshape(3, 3)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(
        ((codes - mean) @ axes.T).std(axis=0, ddof=1), values["spread"], 1e-4
    )
    assert values["spread"] == sorted(values["spread"], reverse=True)
    attributes = np.stack(list(data.attributes.values()), axis=1)
    directions = jaxae.analysis.partial_directions(jnp.asarray(codes), attributes)
    assert [a["name"] for a in values["attributes"]] == ["Low", "Bright One"]
    found_directions = [array(a["z"]) for a in values["attributes"]]
    np.testing.assert_allclose(found_directions, directions, atol=1e-5)
    assert values["classes"] == ["<left>", "</script>right"]
    assert values["labels"] == data.labels.tolist()
    assert found["bytes"] == path.stat().st_size
    assert found["points"] == 40
    assert found["images"]
    # Draws of the prior, which is N(0, I).
    draws = array(values["draws"]).reshape(-1, 3)
    assert len(draws) == 200
    np.testing.assert_allclose(draws.std(axis=0), 1, atol=0.2)
    # Nothing is loaded from elsewhere.
    page = path.read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)|@import|https?://""", page)


def test_an_existing_file_stays_as_it_is(run, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(ValueError, match="exists already.*--overwrite"):
        write_explorer(run, path)
    assert path.read_text() == "mine"
    write_explorer(run, path, overwrite=True)
    assert path.stat().st_size > 10_000
    write_explorer(run, tmp_path / "new" / "page.html")
    assert (tmp_path / "new" / "page.html").exists()
    with pytest.raises(ValueError, match="is a folder"):
        write_explorer(run, tmp_path)


def test_without_data_the_points_are_draws(tmp_path):
    def missing(data_dir=None):
        raise ValueError("there is no data set spots")

    run = runs.stand_in(runs.mlp(), runs.GREY, load_data=missing)
    found = write_explorer(run, tmp_path / "page.html")
    assert "no data set spots" in found["note"]
    assert found["encoder"]
    assert not found["images"]
    values = values_of(tmp_path / "page.html")
    assert values["drawnFrom"] == "the prior"
    assert values["sprite"] is None
    assert "no data set spots" in values["missing"]
    # Without a prior: around the mean of the training codes, or not at all.
    plain = jaxae.autoencoder(jaxae.networks.mlp_encoder(2), jaxae.networks.mlp_decoder(runs.GREY))
    mean, std = np.array([3.0, -1.0]), np.array([0.5, 2.0])
    run = runs.stand_in(plain, runs.GREY, load_data=missing, code_mean=mean, code_std=std)
    write_explorer(run, tmp_path / "other.html")
    codes = array(values_of(tmp_path / "other.html")["codes"]).reshape(-1, 2)
    np.testing.assert_allclose(codes.mean(axis=0), mean, atol=0.3)
    np.testing.assert_allclose(codes.std(axis=0), std, rtol=0.1)
    run.code_mean = None
    with pytest.raises(ValueError, match="needs codes"):
        write_explorer(run, tmp_path / "third.html")
    assert not (tmp_path / "third.html").exists()


def test_a_decoder_without_an_encoder(tmp_path):
    decoder = jaxae.networks.mlp_decoder(runs.GREY)
    model = jaxae.gan(decoder, jaxae.networks.mlp_encoder(1), latent_dim=3)
    found = write_explorer(runs.stand_in(model, runs.GREY), tmp_path / "page.html")
    assert not found["encoder"]
    assert "no encoder" in found["note"]
    assert not values_of(tmp_path / "page.html")["encodes"]


def sorting():
    """A decoder with a primitive that is not translated."""
    decoder = jaxae.networks.mlp_decoder(runs.GREY)

    def apply(params, z, **options):
        return decoder.apply(params, jnp.sort(z, axis=1), **options)

    encoder = jaxae.networks.mlp_encoder(3)
    return jaxae.autoencoder(encoder, decoder._replace(apply=apply))


def test_what_cannot_be_shown(tmp_path):
    run = runs.stand_in(sorting(), runs.GREY)
    with pytest.raises(ValueError, match="the decoder cannot be translated to JavaScript.*'sort'"):
        write_explorer(run, tmp_path / "page.html")
    run.encode = lambda x: {"low": x, "high": x[:, ::2]}
    with pytest.raises(ValueError, match="needs codes that are vectors.*(9, 10, 1)"):
        write_explorer(run, tmp_path / "page.html")
    run.recipe = {"call": "autoencoder", "encoder": {"call": "networks.unet_encoder"}}
    with pytest.raises(ValueError, match="U-Net"):
        write_explorer(run, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_an_encoder_that_cannot_be_translated_is_left_out(tmp_path):
    encoder = jaxae.networks.activate(jaxae.networks.mlp_encoder(3), lambda z: jnp.sort(z, axis=1))
    model = jaxae.autoencoder(encoder, jaxae.networks.mlp_decoder(runs.GREY))
    found = write_explorer(runs.stand_in(model, runs.GREY), tmp_path / "page.html")
    assert "encodes no pictures" in found["note"]
    assert "'sort'" in found["note"]
    assert not found["encoder"]


def test_data_that_are_no_pictures(tmp_path):
    run = runs.stand_in(runs.mlp(), runs.GREY)
    run.inputs = run.inputs._replace(shape=(7,))
    with pytest.raises(ValueError, match="images of one or three channels"):
        write_explorer(run, tmp_path / "page.html")


def test_weights_have_as_many_bits_as_they_need():
    w = {"w": np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)}
    x = np.linspace(-1, 1, 64, dtype=np.float32)

    def results(params):
        return [x @ params["w"]]

    error = {}
    for tolerance in (0.1, 0.02, 4e-3, 1e-9):
        found, bits, (error[bits],) = weights.shortest(w, results, [tolerance])
        assert np.abs(results(found)[0] - results(w)[0]).max() <= tolerance
    assert list(error) == [6, 8, 10, 23]
    # A weight beyond the range of float16 is kept.
    large = {"w": w["w"] * 1e5}
    with np.errstate(invalid="ignore"):
        assert weights.shortest(large, results, [1e4])[1] == 23


def test_packed_arrays_are_the_arrays():
    small = np.float32([0.1, np.pi])
    half = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float16).astype(np.float32)
    text, kinds = weights.pack([small, half])
    assert kinds == [["f", 2], ["h", 2000]]
    octets = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    first, second = octets[:8], octets[8:]
    np.testing.assert_array_equal(
        np.ascontiguousarray(first.reshape(4, -1).T).view(np.float32)[:, 0], small
    )
    found = np.ascontiguousarray(second.reshape(2, -1).T).view(np.float16)[:, 0]
    np.testing.assert_array_equal(found, half.ravel())


def test_tied_weights_are_stored_once():
    model = jaxae.tied_autoencoder(runs.GREY, 3, (8,))
    params = model.init(jax.random.key(0), jnp.zeros((1, *runs.GREY)))
    constants = Constants()
    generate(trace(model.encode, params, (1, *runs.GREY)), constants, "encoder")
    generate(trace(model.decode, params, (1, 3)), constants, "decoder")
    assert sorted(a.size for a in constants.arrays if a.size > 20) == [8 * 3, 90, 90 * 8]


def test_the_sprite_is_the_images():
    import io

    from PIL import Image

    images = runs.pictures(runs.COLOUR, 7).images
    url, columns = content.sprite(images)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
    for i, image in enumerate(images):
        y, x = 10 * (i // columns), 10 * (i % columns)
        np.testing.assert_array_equal(picture[y : y + 10, x : x + 10], image)


def test_the_command(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command_flags, "load", lambda config: run)
    out = str(tmp_path / "page.html")
    explore.main(explore.Config(run="any", out=out, heading="Spots & <more>"))
    assert "40 test images, decoder and encoder" in capsys.readouterr().out
    assert "<title>Spots &amp; &lt;more></title>" in (tmp_path / "page.html").read_text()
    with pytest.raises(ValueError, match="exists already"):
        explore.main(explore.Config(run="any", out=out))
