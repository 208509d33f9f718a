"""Steps, epochs, evaluation, `fit`, checkpoints."""
