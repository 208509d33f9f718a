"""Constructors of autoencoders, from networks and distributions."""

from jaxae.models._autoencoder import autoencoder
from jaxae.models._classifier import classifier
from jaxae.models._gan import gan
from jaxae.models._linear import PrincipalComponents, linear_autoencoder, pca, principal_components
from jaxae.models._logistic_pca import logistic_pca
from jaxae.models._tied import tied_autoencoder
from jaxae.models._vae import vae
from jaxae.models._vae_gan import vae_gan
from jaxae.models.latent import latent_variable_model

__all__ = [
    "PrincipalComponents",
    "autoencoder",
    "classifier",
    "gan",
    "latent_variable_model",
    "linear_autoencoder",
    "logistic_pca",
    "pca",
    "principal_components",
    "tied_autoencoder",
    "vae",
    "vae_gan",
]
