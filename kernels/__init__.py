"""CUDA C++ sources: one .cu per op and the .cuh headers that they share."""
