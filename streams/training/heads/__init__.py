"""The three heads on the frozen trunk. Each file: fitted arrays, `fit_*`, a numpy reference, and `add_*` to a graph."""
