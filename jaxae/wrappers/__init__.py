"""From an autoencoder to an autoencoder."""
