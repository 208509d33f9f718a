"""Pages in headless Chromium: decoded pixels are those of JAX, and one can move, draw and interpolate."""

import json
from importlib.resources import files

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae.explorer import write_explorer
from jaxae.explorer.javascript import Constants, generate
from jaxae.explorer.tracing import trace
from tests.explorer import runs
from tests.explorer.browser import chromium, executable

pytestmark = [
    pytest.mark.skipif(executable() is None, reason="there is no chromium or google-chrome"),
    pytest.mark.xdist_group("chromium"),
]


@pytest.fixture(scope="module")
def browser():
    with chromium() as page:
        yield page


def opened(browser, path, **device):
    browser.errors.clear()
    browser.open(path.as_uri(), **device)
    browser.wait("!!window.jaxae")
    return browser


def called(browser, function, x):
    """What a function of the page makes of an array."""
    values = json.dumps(np.asarray(x, float).ravel().tolist())
    return np.array(browser.run(f"jaxae.{function}(Float32Array.from({values})).then(Array.from)"))


@pytest.mark.parametrize(
    ("name", "shape"),
    [("mlp", runs.GREY), ("conv", runs.COLOUR), ("resnet", runs.COLOUR)],
)
def test_decoded_pixels_and_codes_are_those_of_jax(browser, tmp_path, name, shape):
    run = runs.stand_in(getattr(runs, name)(shape), shape)
    found = write_explorer(run, tmp_path / "page.html")
    assert found["encoder"]
    assert not found["note"]
    page = opened(browser, tmp_path / "page.html")
    assert page.run("jaxae.checked") <= 1 / 255
    x = runs.pictures(shape, 5, seed=7).images.astype(np.float32) / 255
    codes = run.encode(x)
    expected = np.clip(run.model.decode(run.params, jnp.asarray(codes)), 0, 1)
    assert np.std(expected) > 0.05
    for z, image, picture in zip(codes, expected, x, strict=True):
        decoded = np.clip(called(page, "decode", z), 0, 1)
        np.testing.assert_allclose(decoded, image.ravel(), atol=1 / 255)
        scale = codes.std(axis=0).max()
        np.testing.assert_allclose(called(page, "encode", picture), z, atol=0.02 * scale)
    assert page.run("document.getElementById('banner').hidden")
    assert page.errors == []


def test_a_page_that_does_not_reproduce_the_model_says_so(browser, tmp_path):
    write_explorer(runs.stand_in(runs.mlp(), runs.GREY), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text().replace("1/(1+Math.exp(-", "1/(1.1+Math.exp(-")
    (tmp_path / "wrong.html").write_text(text)
    page = opened(browser, tmp_path / "wrong.html")
    assert page.run("jaxae.checked") > 2 / 255
    assert "differ from the model's" in page.run("document.getElementById('banner').textContent")


def test_moving_holding_interpolating_and_drawing(browser, tmp_path):
    write_explorer(runs.stand_in(runs.mlp(), runs.GREY), tmp_path / "page.html")
    page = opened(browser, tmp_path / "page.html")
    page.run("jaxae.checked")

    def box(name):
        return page.run(
            f"(({{x, y, width, height}}) => [x, y, width, height])"
            f"(document.getElementById('{name}').getBoundingClientRect())"
        )

    def code():
        return page.run("Array.from(jaxae.state.z)")

    def pixels(name):
        return page.run(f"document.getElementById('{name}').toDataURL()")

    x, y, width, height = box("plane")
    page.mouse("mouseMoved", x + 0.4 * width, y + 0.5 * height)
    page.wait("jaxae.state.z && jaxae.frames() > 1")
    first, image = code(), pixels("decoded")
    page.mouse("mouseMoved", x + 0.6 * width, y + 0.5 * height)
    page.wait(f"jaxae.state.z[0] > {first[0]}")
    assert code()[1] == pytest.approx(first[1], abs=1e-5)
    page.wait(f"document.getElementById('decoded').toDataURL() !== {json.dumps(image)}")
    # A click holds the point.
    at = (x + 0.5 * width, y + 0.4 * height)
    page.mouse("mousePressed", *at, button="left", clickCount=1)
    page.mouse("mouseReleased", *at, button="left", clickCount=1)
    held = code()
    page.mouse("mouseMoved", x + 0.2 * width, y + 0.2 * height)
    assert code() == held
    # The ends of the interpolation.
    page.run("document.getElementById('set-b').click()")
    page.run("document.getElementById('random').click()")
    assert code() != held
    page.run("document.querySelector('#strip button:last-child').click()")
    assert code() == pytest.approx(held, abs=1e-5)
    page.run("document.getElementById('play').click()")
    page.wait(
        f"Math.abs(jaxae.state.z[0] - {held[0]}) + Math.abs(jaxae.state.z[1] - {held[1]}) > 1e-3"
    )
    page.run("document.getElementById('play').click()")
    # A slider, and a drawing.
    page.run(
        "(s => {s.value = 0.25; s.dispatchEvent(new Event('input'))})(ui('sliders').querySelector('input'))"
    )
    assert code()[0] == pytest.approx(
        page.run("Number(ui('sliders').querySelector('input').value)")
    )
    page.run("document.getElementById('own').scrollIntoView()")
    x, y, width, height = box("pad")
    page.mouse("mousePressed", x + 50, y + 50, button="left", clickCount=1, buttons=1)
    page.mouse("mouseMoved", x + 120, y + 150, button="left", buttons=1)
    page.mouse("mouseReleased", x + 120, y + 150, button="left", clickCount=1)
    page.wait("jaxae.state.own !== null")
    seen = page.run("Array.from(fromCanvas(document.getElementById('seen'), false))")
    assert max(seen) > 0.5
    np.testing.assert_allclose(
        page.run("Array.from(jaxae.state.own)"), called(page, "encode", seen), atol=0.05
    )
    page.run("document.getElementById('show-map').click()")
    assert page.run("document.querySelectorAll('#legend button').length") == 2
    assert page.errors == []


def test_a_phone(browser, tmp_path):
    write_explorer(runs.stand_in(runs.conv(), runs.COLOUR), tmp_path / "page.html")
    page = opened(
        browser, tmp_path / "page.html", width=390, height=844, mobile=True, scale=2, dark=True
    )
    page.run("jaxae.checked")
    assert page.run("document.documentElement.scrollWidth") <= 390
    assert page.run("document.documentElement.dataset.theme") == "dark"
    assert page.run("document.getElementById('layer').width") > 600
    assert page.run("document.querySelectorAll('#attributes .slider').length") == 2
    assert page.errors == []


def top_k():
    encoder = jaxae.networks.activate(jaxae.networks.mlp_encoder(4), jaxae.wrappers.top_k(2))
    return jaxae.autoencoder(
        encoder, jaxae.networks.mlp_decoder(runs.GREY, outputs=8), jaxae.likelihoods.categorical(8)
    )


def others(params, x):
    """Operations that no network of the library has, and an awkward order of axes."""
    y = (
        jax.nn.gelu(x, approximate=False)
        .reshape(1, 5, 6, 3)
        .transpose(0, 2, 1, 3)
        .reshape(1, 15, 6)
    )
    z = jnp.pad(y, ((0, 0), (1, 2), (0, 0)), constant_values=0.5)[:, ::-1, 1:5]
    w = jnp.concatenate([z, jnp.where(z > 0.4, z.max(axis=1, keepdims=True), 0)], axis=2)
    return jnp.round(4 * w) + jnp.cumsum(params)[0] * jax.nn.softmax(w, axis=1)


def test_the_operations_of_all_networks(browser, tmp_path):
    tied = jaxae.tied_autoencoder(runs.GREY, 3, (8,), code_activation=jax.nn.sigmoid)
    functions = {"others": (others, np.ones(3, np.float32), (1, 90))}
    for name, model in {
        "top_k": top_k(),
        "tied": tied,
        "logistic": jaxae.logistic_pca(runs.GREY, 3),
    }.items():
        params = runs.stand_in(model, runs.GREY, scale=0.5).params
        functions |= {f"{name}_encode": (model.encode, params, (1, *runs.GREY))}
        size = 3 if name != "top_k" else 4
        functions |= {f"{name}_decode": (model.decode, params, (1, size))}
    scripts, inputs, expected, constants = [], {}, {}, Constants()
    for name, (function, params, shape) in functions.items():
        scripts.append(generate(trace(function, params, shape), constants, name))
        x = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
        inputs[name], expected[name] = (
            x.ravel().tolist(),
            np.asarray(jax.jit(function)(params, x)).ravel(),
        )
    kernels = (files("jaxae.explorer") / "kernels.js").read_text()
    weights = json.dumps([array.ravel().tolist() for array in constants.arrays])
    run = """(() => { const w = WEIGHTS.map((a) => Float32Array.from(a)), all = {NAMES}, found = {};
      for (const [name, x] of Object.entries(INPUTS)) { const network = all[name](w);
        network.input.set(x); network.run(); found[name] = Array.from(network.output); }
      return found; })()"""
    run = run.replace("WEIGHTS", weights).replace("NAMES", ", ".join(functions))
    (tmp_path / "page.html").write_text("<!doctype html><title>t</title>")
    browser.open((tmp_path / "page.html").as_uri())
    found = browser.run(
        f"{kernels}\n{''.join(scripts)}\n{run.replace('INPUTS', json.dumps(inputs))}"
    )
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=5e-4, err_msg=name)
