"""Figures as the page and the chart print them."""

from __future__ import annotations


def ratio(value: float) -> str:
    """Three places or fewer."""
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def time(value: float) -> str:
    """Microseconds, milliseconds or seconds."""
    if value < 1e-3:
        return f"{value * 1e6:.3g} µs"
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.2f} s"
