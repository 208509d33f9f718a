"""Measures of codes, reconstructions and samples."""
