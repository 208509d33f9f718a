"""Devices, processes, sharding, files, the compilation cache and signals."""
