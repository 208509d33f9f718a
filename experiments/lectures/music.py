"""Music: a denoising autoencoder of signals, for notes with harmonics (a demonstration of the lectures)."""

import wave
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxae
from jaxae.runs import figures
from jaxae.runs.folder import Run
from jaxae.runs.style import PALETTE, REFERENCE, entitle, name_curves

RATE, WINDOW = 8000, 256
"""Samples in a second and in a window, which is what the autoencoder sees."""
NOTES = 261.63 * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12]) / 12)
"""Frequencies of a scale in C major."""
TUNE = (0, 1, 2, 0, 0, 1, 2, 0, 2, 3, 4, 4, 2, 3, 4, 4)
"""The notes of the melody, which is not in the training data."""
SECONDS, NOISE = 0.25, 0.3
"""The length of a note of the melody; the standard deviation of the noise."""
CODE, HIDDEN = 64, 512


def notes(rng: np.random.Generator, pitch: np.ndarray, length: int) -> np.ndarray:
    """Notes of random loudness and timbre, `[n, length]`: five harmonics with random phases."""
    n = len(pitch)
    t = np.arange(length) / RATE
    loudness = rng.uniform(0.5, 1.0, (n, 1))
    sound = np.zeros((n, length))
    for harmonic in range(1, 6):
        strength = rng.uniform(0.5, 1.0, (n, 1)) / harmonic
        phase = rng.uniform(0, 2 * np.pi, (n, 1))
        sound += strength * np.sin(2 * np.pi * harmonic * pitch[:, None] * t + phase)
    return (0.5 * loudness * sound).astype(np.float32)


def melody(rng: np.random.Generator) -> np.ndarray:
    """The melody, `[t]`; each note fades in and out."""
    length = int(SECONDS * RATE)
    fade = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / 200)
    return (fade * notes(rng, NOTES[list(TUNE)], length)).ravel().astype(np.float32)


def signal_to_noise(clean: Any, estimate: Any) -> float:
    """In dB."""
    clean, estimate = np.asarray(clean, np.float64), np.asarray(estimate, np.float64)
    return float(10 * np.log10(np.mean(clean**2) / np.mean((estimate - clean) ** 2)))


def music(run: Run, images: int) -> dict[str, Any]:
    """Trains a denoising autoencoder of windows of notes, and applies it to a noisy melody.

    Args:
      run: where the figure and the sounds are written.
      images: windows shown in training.
    """
    rng = np.random.default_rng(0)
    train, test = (notes(rng, rng.choice(NOTES, n), WINDOW)[..., None] for n in (16_000, 2_000))
    corrupt = jaxae.corruptions.gaussian(NOISE)
    model = jaxae.denoising(
        jaxae.autoencoder(
            jaxae.networks.mlp_encoder(CODE, (HIDDEN,)),
            jaxae.networks.mlp_decoder((WINDOW, 1), (HIDDEN,)),
            jaxae.likelihoods.gaussian(),
        ),
        corrupt,
    )
    import optax

    epochs = max(1, round(images / len(train)))
    fitted = jaxae.fit(
        model,
        train,
        optimizer=optax.adam(optax.cosine_decay_schedule(1e-3, epochs * (len(train) // 128))),
        epochs=epochs,
        key=jax.random.key(0),
        batch_size=128,
        progress=False,
    )
    linear = jaxae.analysis.linear_denoiser(jax.random.key(1), train, corrupt)
    denoise = jax.jit(lambda x: jaxae.reconstruct(model, fitted.params, x))
    noisy = corrupt(jax.random.key(2), jnp.asarray(test))
    results: dict[str, Any] = {
        "noisy/signal_to_noise": signal_to_noise(test, noisy),
        "linear/signal_to_noise": signal_to_noise(test, linear(noisy)),
        "test/signal_to_noise": signal_to_noise(test, denoise(noisy)),
    }
    tune = melody(np.random.default_rng(1))
    heard = tune + NOISE * np.random.default_rng(2).standard_normal(len(tune)).astype(np.float32)
    cleaned = overlapped(lambda x: np.asarray(denoise(jnp.asarray(x))), heard)
    results |= {
        "melody_noisy/signal_to_noise": signal_to_noise(tune, heard),
        "melody/signal_to_noise": signal_to_noise(tune, cleaned),
        "epochs": epochs,
        "protocol": f"windows of {WINDOW} samples at {RATE} Hz of notes of C major with five harmonics; "
        f"noise with standard deviation {NOISE:g}; the melody is not in the training data",
    }
    draw(run.figures / "signals.png", test[:3, :, 0], noisy[:3, :, 0], denoise(noisy[:3])[..., 0])
    for name, sound in {"clean": tune, "noisy": heard, "denoised": cleaned}.items():
        write_sound(run.directory / f"{name}.wav", sound)
    return results


def overlapped(function: Any, signal: np.ndarray) -> np.ndarray:
    """A function of windows applied to a long signal: half-overlapping windows, added with weights."""
    step = WINDOW // 2
    padded = np.pad(signal, (step, step + (-len(signal)) % step))
    starts = np.arange(0, len(padded) - WINDOW + 1, step)
    found = function(np.stack([padded[i : i + WINDOW] for i in starts])[..., None])[..., 0]
    weight = np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW) ** 2
    total, weights = np.zeros(len(padded)), np.full(len(padded), 1e-9)
    for i, part in zip(starts, found, strict=True):
        total[i : i + WINDOW] += weight * part
        weights[i : i + WINDOW] += weight
    return (total / weights)[step : step + len(signal)].astype(np.float32)


def write_sound(path: Path, sound: np.ndarray) -> None:
    """Writes a WAV file of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.round(32767 * np.clip(0.5 * sound, -1, 1)).astype("<i2").tobytes())


def draw(path: Path, clean: Any, noisy: Any, denoised: Any) -> None:
    """Draws windows of test notes: noisy, clean and denoised."""
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    panels = figure.subplots(len(clean), 1, sharex=True, sharey=True)
    time = 1000 * np.arange(WINDOW) / RATE
    for axes, truth, seen, found in zip(panels, clean, noisy, denoised, strict=True):
        axes.plot(time, seen, color="0.8", label="noisy")
        axes.plot(time, truth, color=REFERENCE, linestyle="--", linewidth=1.2, label="clean")
        axes.plot(time, found, color=PALETTE[0], linewidth=1.5, label="denoised")
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("time (ms)")
    entitle(figure, "Three notes of the test set, with noise and without")
    name_curves(figure)
    figures.save(figure, path)
