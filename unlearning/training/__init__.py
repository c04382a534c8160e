"""One training run: a plan, an objective and a scope, on Lightning."""
