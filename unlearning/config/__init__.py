"""Every key of every configuration file, with its unit and its range: one file a group, named as the group.

Imports neither torch nor any other heavy library, so that ``--help`` and ``--cfg job`` answer at once. A command's
composed configuration becomes checked dataclasses in `unlearning.config.settings.settings_of`.
"""
