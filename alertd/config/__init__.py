"""
TOML and environment → validated settings, or errors that a person can act on.

``load`` is the way in.  Nothing it refuses reaches the core, which believes every rule it is
given; and it refuses everything at once, each line with a place, a value and a remedy.

The way through: ``loading`` reads the file and puts ``environment`` over it, ``schema`` says which
keys there are, ``tables`` goes through them, ``values``, ``units`` and ``conditions`` say what each
may hold, ``checks`` what only shows when they are seen together, ``machine`` what stands for what
was left out.
"""

from alertd.config.errors import ConfigError
from alertd.config.loading import DEFAULT_PATH, default_path, load, state_directory
from alertd.config.settings import Config, Email, Log, State

__all__ = [
    "DEFAULT_PATH",
    "Config",
    "ConfigError",
    "Email",
    "Log",
    "State",
    "default_path",
    "load",
    "state_directory",
]
