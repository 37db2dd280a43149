"""One file for each op: it checks the arrays of a call, chooses the engine and runs the plan."""
