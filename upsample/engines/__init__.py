"""Engines run a plan on an array: `dispatch` chooses one, and each folder is one."""
