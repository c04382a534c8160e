"""The evaluation of a model: what it knows, what it reveals, what it can still do. Each kind of metric has a file."""
