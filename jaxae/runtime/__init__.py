"""Devices, processes, files, the compilation cache, signals."""
