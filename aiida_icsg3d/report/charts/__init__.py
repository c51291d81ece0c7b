"""Charts of a run, by plotly: one kind a module."""
