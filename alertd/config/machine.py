"""
What this machine says where the configuration is silent: its memory and its time zone.

Neither is ever an error of the file, except that ``TZ`` may be no name of a zone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from alertd.config.errors import show
from alertd.config.values import timezone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

_ROOT = Path("/")


def memory(root: Path = _ROOT) -> int:
    """
    Tell how many bytes of memory this process may use at most.

    Args:
        root: Where ``proc`` and ``sys`` are mounted.

    Returns:
        The machine's memory, or what its control group (or one above it) leaves of it.
    """
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for group in _control_groups(root):
        try:
            # "max" is no number: no limit.
            limits.append(int(group.read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return min(limit for limit in limits if limit > 0)


def local_timezone(environ: Mapping[str, str], localtime: Path = _ROOT / "etc/localtime") -> tzinfo:
    """
    Tell the machine's time zone: ``TZ``, else /etc/localtime, else UTC.

    Raises:
        ValueError: ``TZ`` is not the name of a zone.
    """
    from datetime import UTC  # noqa: PLC0415
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - with the zones themselves

    if "TZ" in environ:
        # POSIX: a colon may precede a name, and an empty value means UTC.
        variable = environ["TZ"].removeprefix(":")
        if not variable:
            return UTC
        try:
            return timezone(variable.rpartition("zoneinfo/")[2])
        except ValueError:
            raise ValueError(
                f"is missing, and TZ={show(environ['TZ'])} is not the name of a time zone; "
                'write it like "Europe/Berlin" or "UTC"'
            ) from None
    _, _, name = str(localtime.resolve()).rpartition("zoneinfo/")
    try:
        # The name is better than the file, because it can be shown.
        return timezone(name)
    except ValueError:
        pass
    try:
        with localtime.open("rb") as file:
            return ZoneInfo.from_file(file, key="localtime")
    except (OSError, ValueError):
        return UTC


def _control_groups(root: Path) -> list[Path]:
    """List the files that may hold a limit, for both versions of control groups."""
    files = [root / "sys/fs/cgroup/memory/memory.limit_in_bytes"]
    try:
        memberships = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return files
    for membership in memberships:
        _, controllers, path = membership.split(":", 2)
        group = Path(path.lstrip("/"))
        above = [group, *group.parents]
        if controllers == "":
            files += [root / "sys/fs/cgroup" / each / "memory.max" for each in above]
        elif controllers == "memory":
            files += [
                root / "sys/fs/cgroup/memory" / each / "memory.limit_in_bytes" for each in above
            ]
    return files
