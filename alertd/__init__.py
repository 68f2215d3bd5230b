"""
Watch log files; send mail when something happens too often.

The map of this package, in the order in which a line travels::

    tail.py         files → batches of complete lines, across rotation
    core/           what a line means and when it is too much: pure, no I/O
    state.py        one SQLite file: what must survive a crash, committed together
    delivery.py     outbox → mail, with retry and backoff
    smtp.py         one mail, sent

and around them ``cli`` (arguments and exit codes), ``config`` (TOML and environment → settings),
``daemon`` (introduces all of the above to each other), ``replay`` (the same rules over old files),
``control`` (status and reload over a unix socket), ``systemd``, ``logs`` and ``demo``.
"""

__version__ = "0.1.0"
