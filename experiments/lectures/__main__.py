"""Runs the command `python -m experiments.lectures`."""

import experiments.lectures as lectures
from jaxae.runs.command import command

if __name__ == "__main__":
    command(lectures.main, lectures.Config, lectures.__doc__)
