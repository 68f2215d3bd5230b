"""
The part of the environment's overrides that pydantic-settings does.

Imported only where a variable overrides something: pydantic-settings and what it brings take as
long to import as all of alertd, and next to nobody sets such a variable.
"""

# No `from __future__ import annotations`: pydantic reads these annotations at run time.
from collections.abc import Mapping

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from alertd.config.schema import EmailTable, LogTable, StateTable
from alertd.config.values import EnvironmentText


class _Overridable(BaseSettings):
    """
    What the environment may override: ``ALERTD_EMAIL__PASSWORD`` is ``[email] password``.

    The same tables as ``schema.SECTIONS``.
    """

    model_config = SettingsConfigDict(
        env_prefix="ALERTD_",
        env_nested_delimiter="__",
        # Our own readers know what text from the environment stands for.
        enable_decoding=False,
        # It is never validated, only asked for its fields.
        defer_build=True,
    )

    email: EmailTable
    state: StateTable
    log: LogTable


class _Environment(EnvSettingsSource):
    """The environment as a source of settings, given instead of read from the process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(_Overridable)
        self.env_vars = {name.lower(): EnvironmentText(text) for name, text in environ.items()}


def read(environ: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """Read variables that override something: what they say, by section and key."""
    return _Environment(environ)()
