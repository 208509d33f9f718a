"""What the experiments share: flags, data, optimizers, and the steps of a run."""
