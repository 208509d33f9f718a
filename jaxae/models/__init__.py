"""Constructors: from networks and distributions to an autoencoder."""
