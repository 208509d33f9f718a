"""A page in which the codes of a trained run are explored in a browser.

:func:`write_explorer` traces the decoder and the encoder (`tracing`), writes them as JavaScript
(`javascript`, `elementwise`, `kernels`), rounds their weights (`weights`), gathers codes, images and
directions (`content`), and puts everything into one HTML file (`writing`).

In the page, `jaxae.decode(z)` and `jaxae.encode(x)` are the networks as functions of Float32Arrays that
return promises, for the console of the browser and for tests; `jaxae.setCode(z)` shows a code, and
`jaxae.checked` is a promise of the largest difference from images that JAX has decoded.
"""

from jaxae.explorer.writing import write_explorer

__all__ = ["write_explorer"]
