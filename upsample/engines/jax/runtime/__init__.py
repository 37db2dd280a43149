"""Shared by all ops of the engine: compilation by XLA, and linear primitives."""
