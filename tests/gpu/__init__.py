"""What only a GPU can show: ``pytest -m gpu``. The op tests run there too (`backends`: cupy, torch-cuda)."""
