"""The CPU benchmarks: `python -m benchmarks run NAME`, then `python -m benchmarks report benchmarks/results/*.json`.

One file an op (`bench_*.py`), the cases and their goals as data (`cases`), the measurement (`pairs`), the page and the
chart (`report`, `chart`). How it is measured stands in `pairs`.
"""
