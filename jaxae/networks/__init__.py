"""Encoders, decoders and discriminators."""
