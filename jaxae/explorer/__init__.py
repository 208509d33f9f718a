"""A page in which the codes of a trained run are explored in a browser."""

from jaxae.explorer.writing import write_explorer

__all__ = ["write_explorer"]
