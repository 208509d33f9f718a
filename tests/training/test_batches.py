"""Labels, conditions, inputs and masks, and data of any shape, through all of training."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae.training import loss_scores, make_evaluate
from jaxae.training.batches import as_data
from tests.cases import SHAPE, images
from tests.training.helpers import (
    KEY,
    assert_close,
    assert_equal,
    by_hand,
    fit,
    gaussian,
    without_clocks,
)

RANDOM = np.random.default_rng(0)
N = 14
TABLE = jaxae.Batch(
    RANDOM.normal(size=(N, 7)).astype(np.float32),
    label=RANDOM.integers(0, 3, N),
    condition=RANDOM.normal(size=(N, 2)).astype(np.float32),
    observed=RANDOM.integers(0, 2, (N, 7)),
)


def table_model():
    """A conditional VAE of vectors with missing values, which also classifies."""
    encoder = jaxae.networks.with_condition(jaxae.networks.mlp_encoder(4, (8,)))
    decoder = jaxae.networks.with_condition(jaxae.networks.mlp_decoder((7,), (8,)))
    model = jaxae.vae(encoder, decoder, jaxae.likelihoods.gaussian(), latent_dim=2)

    def classes(context):
        logits = context.params["classes"][context.batch.label] * context.z[:, 0]
        return [jaxae.Term("classes", jnp.square(logits - context.batch.label), 0.1)]

    init = lambda key, model, params, batch: {"classes": jnp.ones(3)}
    return model.add(jaxae.Penalty("classes", classes, init=init))


def dict_model():
    """A loss on two columns."""

    def loss(params, key, batch, step, train):
        error = batch.x["a"] @ params["w"] - batch.x["b"]
        return jnp.square(error + 0.01 * jax.random.normal(key))

    return by_hand(loss, {"w": jnp.zeros(3)})


COLUMNS = {"a": TABLE.x[:, :3], "b": TABLE.x[:, :3] @ np.float32([1, 2, 3])}


@pytest.mark.slow
def test_a_table_with_labels_conditions_and_masks(tmp_path):
    """Through training, validation, all placements, many models, and an exact resumption."""
    model = table_model()
    options = {"validation": jax.tree.map(lambda a: a[:5], TABLE), "ema": 0.9, "epochs": 4}
    whole = fit(model, TABLE, **options)
    assert whole.history[-1]["train/loss"] < whole.history[0]["train/loss"]
    assert {"train/classes", "validation/classes"} <= whole.history[0].keys()
    for placement in ("device", "host"):
        checkpoints = jaxae.Checkpoints(tmp_path / placement)
        fit(model, TABLE, **options | {"epochs": 2}, checkpoints=checkpoints, placement=placement)
        resumed = fit(model, TABLE, checkpoints=checkpoints, placement=placement, **options)
        assert_equal((resumed.state, resumed.params), (whole.state, whole.params))
        assert without_clocks(resumed.history) == without_clocks(whole.history)
    plain = fit(model, TABLE, validation=options["validation"])
    many = jaxae.fit_many(
        lambda _: (model, optax.adam(1e-2)),
        TABLE,
        keys=KEY[None],
        epochs=3,
        batch_size=4,
        validation=options["validation"],
        progress=False,
    )
    for name, values in many.history.items():
        np.testing.assert_allclose(values[0], [r[name] for r in plain.history], rtol=1e-4)
    # A value that is missing makes no difference, not even if it is nan.
    missing = np.where(TABLE.observed > 0, TABLE.x, np.nan)
    assert_close(fit(model, TABLE._replace(x=missing)).params, fit(model, TABLE).params, rtol=1e-6)


@pytest.mark.parametrize("placement", ["device", "host"])
def test_a_dict_of_columns(placement):
    fitted = fit(
        dict_model(), COLUMNS, validation={k: v[:5] for k, v in COLUMNS.items()},
        placement=placement, epochs=20, optimizer=optax.sgd(0.05),
    )  # fmt: skip
    assert fitted.history[-1]["train/loss"] < fitted.history[0]["train/loss"]
    assert fitted.history[-1]["validation/loss"] < fitted.history[0]["validation/loss"]


def test_sequences():
    x = RANDOM.uniform(size=(13, 5, 2)).astype(np.float32)
    model = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(2, (8,)), jaxae.networks.mlp_decoder((5, 2), (8,))
    )
    assert fit(model, x, validation=x).history[-1]["validation/loss"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_a_stream_with_labels_is_an_array_with_labels(workers, tmp_path):
    x = RANDOM.integers(0, 256, (13, 4, 4, 1), np.uint8)
    labels = np.arange(13, dtype=np.int32)

    def loss(params, key, batch, step, train):
        error = params["w"] * batch.x.sum((1, 2, 3)) - batch.label
        return jnp.square(error + jax.random.normal(key))

    model, options = by_hand(loss, {"w": 0.1}), {"optimizer": optax.adam(1e-2)}
    stream = jaxae.Batch(jaxae.Stream(x, _identity), label=labels)
    whole = fit(model, jaxae.Batch(x, label=labels), **options)
    streamed = fit(model, stream, workers=workers, **options)
    assert_equal(streamed.state, whole.state)
    checkpoints = jaxae.Checkpoints(tmp_path)
    fit(model, stream, epochs=1, checkpoints=checkpoints, **options)
    resumed = fit(model, stream, checkpoints=checkpoints, **options)
    assert_equal(resumed.state, whole.state)


def _identity(image):
    return image


def test_labels_stay_with_their_images():
    """A model whose loss is the squared distance of a label from what its image says."""
    n = 37
    x = np.arange(n, dtype=np.float32)[:, None, None, None] / n * np.ones((1, 2, 2, 1), np.float32)
    labels = np.arange(n)
    seen = []

    def loss(params, key, batch, step, train):
        jax.debug.callback(
            lambda x, t: seen.append((np.array(x), np.array(t))), batch.x, batch.label
        )
        return jnp.square(params["w"] * batch.x.mean((1, 2, 3)) * n - batch.label)

    model = by_hand(loss, {"w": 0.5})
    options = {"optimizer": optax.sgd(0.0), "epochs": 2}
    fitted = fit(
        model,
        jaxae.Batch(x, label=labels),
        batch_size=5,
        validation=jaxae.Batch(x[::3], label=labels[::3]),
        **options,
    )
    jax.effects_barrier()
    assert len(seen) > 14
    for image, label in seen:
        np.testing.assert_allclose(image.mean((1, 2, 3)) * n, label, rtol=1e-5)
    expected = np.mean((0.5 * labels[::3]) ** 2)
    assert fitted.history[0]["validation/loss"] == pytest.approx(expected, rel=1e-5)
    evaluate = make_evaluate(loss_scores(model), batch_size=8)
    scores = evaluate(({"w": jnp.float32(1.0)}, 0), KEY, jaxae.Batch(x, label=labels))
    np.testing.assert_allclose(scores["loss"], 0, atol=1e-6)
    with pytest.raises(ValueError, match="37 in x, 36 in label"):
        fit(model, jaxae.Batch(x, label=labels[1:]), **options)


def test_inputs_that_are_not_the_targets():
    model, optimizer = gaussian(), optax.sgd(1e-3)
    levels = (255 * np.asarray(images(SHAPE, 8))).round().astype(np.uint8)
    batch = jaxae.Batch(levels[::-1].copy(), seen=levels)
    state = jaxae.training.init_state(model, optimizer, KEY, batch)
    step = jax.jit(jaxae.training.make_step(model, optimizer))
    _, metrics = step(state, KEY, batch)
    decoded = jaxae.reconstruct(model, state.params, jaxae.as_float(levels))
    error = jnp.square(jaxae.as_float(levels[::-1].copy()) - decoded).sum((1, 2, 3)).mean()
    expected = error / 2 + 15 * np.log(2 * np.pi)  # 30 values
    assert float(metrics["loss"]) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["device", "host"])
def test_arrays_of_another_byte_order_or_layout(placement):
    x = np.asarray(images(SHAPE, n=13))
    expected = fit(x=x).state
    big = x.astype(">f4")
    read_only = x.copy()
    read_only.flags.writeable = False
    for other in (big, read_only, np.asfortranarray(x), x[::-1].copy()[::-1], x.astype(np.float64)):
        assert_equal(fit(x=other, placement=placement).state, expected)
    assert as_data(jaxae.Batch(x, label=np.arange(13, dtype=">i8"))).label.dtype.isnative
