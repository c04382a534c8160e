"""What a model knows, what it gives away and what it can still do. One file a family of metrics."""
