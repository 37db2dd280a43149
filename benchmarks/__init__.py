"""The benchmarks: `python -m benchmarks run NAME`, then `python -m benchmarks report benchmarks/results/*.json`.

On the CPU: one file an op (`bench_*.py`), cases and goals as data (`cases`), the measurement of time (`pairs`) and of
memory (`memory`), the page and the charts (`report`, `chart`, `overview`). `pairs` has the method.

On a GPU, where NAME is cuda: all ops (`bench_cuda`), cases and goals (`cuda_cases`), our calls and the rivals'
(`cuda_calls`), the clock of CUDA events and its stand-in for a dry run (`cuda_device`), the page (`cuda_report`). Where
there is no GPU, `python -m benchmarks sass` counts instructions instead (`sass`).
"""
