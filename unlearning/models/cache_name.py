"""The name under which Transformers takes a key-value cache."""

from inspect import signature

from transformers.masking_utils import create_causal_mask

CACHE_NAME = "cache" if "cache" in signature(create_causal_mask).parameters else "past_key_values"
"""The keyword of a model's forward pass and of `generate`: `cache` from Transformers 5.24 on, where the older name
`past_key_values` warns; 5.40 does not take the older one."""
