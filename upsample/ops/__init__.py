"""One file an op: it checks what every dialect's call has in common, picks the engine and runs the plan."""
