"""Regularised autoencoders (Ghosh et al., 2020): small codes, and a decoder that is smooth at them."""

import jax.numpy as jnp

import jaxae


def rae_gp(base: jaxae.Autoencoder, *, codes: float, gradient: float) -> jaxae.Autoencoder:
    """An autoencoder with penalties on the norm of its codes and on the decoder's Jacobian."""

    def apply(context):
        def decode(z, condition=None):
            mean = context.model.likelihood(context.params, z, condition).mean
            return mean.reshape(len(z), -1)

        norm = jaxae.objectives.squared_jacobian_norm(
            decode, context.z, given=context.batch.condition
        )
        return (
            jaxae.Term("code_norm", 0.5 * jnp.sum(jnp.square(context.z), axis=-1), codes),
            jaxae.Term("decoder_gradient", norm, gradient),
        )

    return base.add(jaxae.Penalty("rae_gp", apply, (("codes", codes), ("gradient", gradient))))
