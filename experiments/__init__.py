"""One script for each experiment: the dataclass of its flags, and `main`, which returns its results.

python -m experiments.vae --help
"""
