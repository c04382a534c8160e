"""Probes: ways to ask whether what a model no longer says is really gone. Each kind of probe has a file."""
