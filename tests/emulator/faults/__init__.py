"""Kernels with one fault each, which the emulator must find; see ``tests/kernels/test_emulator.py``."""
