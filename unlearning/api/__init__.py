"""The commands from Python: compose a configuration, run it, and read what the run left."""
