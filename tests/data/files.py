"""Files of images, for tests."""

import numpy as np
from PIL import Image


def grey(n=20, size=(6, 5), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *size), np.uint8)


def write(folder, name, array):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def rows(images):
    return [image.tobytes() for image in np.asarray(images)]
