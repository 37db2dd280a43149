"""Find the packages: every folder of ``upsample/`` with code, and ``kernels/``; pyproject.toml has everything else."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["upsample", "upsample.*"]), "upsample.kernels"])
