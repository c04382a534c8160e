"""Experiments in unlearning language models: a method is an objective, a scope and a schedule."""
