"""What carries out a plan on an array: `dispatch` says which engine does, the folders beside it are the engines."""
