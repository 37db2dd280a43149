"""The commands of ``upsample``: `demo`, `bench` and `info`; ``upsample/__main__.py`` reads their arguments."""
