"""
What the database looks like, and how an older one becomes it.

A version is the number of migrations applied.  Add one at the end; never change one that has been
released.  All that are missing are applied in one transaction with the new version number, so a
crash leaves the old schema or the new one.
"""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x61_6C_72_74  # "alrt"

_FIRST: Final = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

-- Where each file is read to.
CREATE TABLE file (key BLOB PRIMARY KEY, value BLOB NOT NULL);

-- The engine: snapshots by shard, and the matches applied since the oldest of them.
CREATE TABLE shard (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, value BLOB NOT NULL);
CREATE TABLE journal (seq INTEGER PRIMARY KEY, value BLOB NOT NULL);

-- The outbox: a notice, whom it is still to be put in a mail for, mails frozen byte for byte,
-- what each contains, and one copy for each address.
CREATE TABLE notice (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    rule TEXT NOT NULL,
    key TEXT NOT NULL,            -- JSON: pairs of field and value
    time REAL NOT NULL,           -- of the event
    raised_at REAL NOT NULL,
    done_at REAL,                 -- sent to everybody
    value BLOB                    -- the whole of it, until it is done
);
CREATE TABLE queued (
    notice INTEGER NOT NULL REFERENCES notice (number),
    address TEXT NOT NULL,
    PRIMARY KEY (notice, address)
) WITHOUT ROWID;
CREATE TABLE mail (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL UNIQUE,
    reason TEXT NOT NULL,         -- alert, catching up, outage, digest
    frozen_at REAL NOT NULL,
    payload BLOB                  -- until nobody needs it any more
);
CREATE TABLE content (
    mail INTEGER NOT NULL REFERENCES mail (number),
    notice INTEGER NOT NULL REFERENCES notice (number),
    PRIMARY KEY (mail, notice)
) WITHOUT ROWID;
CREATE INDEX content_by_notice ON content (notice);
CREATE TABLE copy (
    mail INTEGER NOT NULL REFERENCES mail (number),
    address TEXT NOT NULL,
    reason TEXT NOT NULL,         -- why this address got it
    status TEXT NOT NULL,         -- pending, sent, failed
    frozen_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt REAL NOT NULL DEFAULT 0,
    is_uncertain INTEGER NOT NULL DEFAULT 0,
    detail TEXT NOT NULL DEFAULT '',
    judged_at REAL,
    PRIMARY KEY (mail, address)
) WITHOUT ROWID;
CREATE INDEX copy_unfinished ON copy (status) WHERE status <> 'sent';
"""

_RESOLUTIONS: Final = """
ALTER TABLE notice ADD COLUMN resolves TEXT NOT NULL DEFAULT '';  -- the id of an alert that is over
"""

MIGRATIONS: Final[tuple[str, ...]] = (_FIRST, _RESOLUTIONS)
VERSION: Final = len(MIGRATIONS)

SEALED: Final[tuple[tuple[str, str, str], ...]] = (
    ("fact", "name", "value"),
    ("file", "key", "value"),
    ("shard", "name", "value"),
    ("journal", "seq", "value"),
    ("notice", "id", "value"),
    ("mail", "message_id", "payload"),
)
"""Table, key and value, where the value carries a checksum over both (see ``seal``)."""
