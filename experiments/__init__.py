"""One script for each claim: a frozen `Config`, and `main(config)` that returns the results.

python -m experiments.vae --help
"""
