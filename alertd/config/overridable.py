"""
The part of the environment's overrides that pydantic-settings does.

Imported only where a variable overrides something: pydantic and what it brings take as long to
import as all of alertd, and hardly anybody sets such a variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import create_model
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from alertd.config.schema import SECTIONS
from alertd.config.values import EnvironmentText

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from alertd.config.tables import Table


class _Overridable(BaseSettings):
    """What the environment may override: ``ALERTD_EMAIL__PASSWORD`` is ``[email] password``."""

    model_config = SettingsConfigDict(
        env_prefix="ALERTD_",
        env_nested_delimiter="__",
        # Our own readers know what text from the environment stands for.
        enable_decoding=False,
    )


class _Environment(EnvSettingsSource):
    """The environment as a source of settings, given instead of read from the process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        sections: dict[str, Any] = {
            name: (_model(name, table), ...) for name, table in SECTIONS.items()
        }
        super().__init__(create_model("Overridable", __base__=_Overridable, **sections))
        self.env_vars = {name.lower(): EnvironmentText(text) for name, text in environ.items()}


def _model(name: str, table: type[Table]) -> type[BaseModel]:
    keys: dict[str, Any] = dict.fromkeys(table.known, (str, ...))
    return create_model(name, **keys)


def read(environ: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """Read variables that override something: what they say, by section and key."""
    return _Environment(environ)()
