"""
Watch log files; send mail when something happens too often.

The map of this package, in the order in which a line travels::

    tail/           files → batches of complete lines, across rotation
    core/           what a line means and when it is too much: pure, no I/O
      matching/       bytes → matches, a chunk at a time; all the speed is here
      ordering.py     matches of many files → one stream in time order
      engine.py       matches → alerts: a keyspace of detectors for each rule
      timed.py        a keyspace for which time alone counts, too: deadlines
      detectors/      what is too much: a module for each kind of rule
      pipeline.py     the three in a row, for any driver
      rule_tests.py   the same for the lines of a rule's own tests
      tuning.py       and with other limits; timeline.py draws when it matched and rang
      render/         alert → mail, alert → JSON
    watch.py        the loop: a piece of a file is read, judged and committed, turn by turn
    turns.py        whose turn it is, so that no file holds up the others
    state/          one SQLite file: what must survive a crash, committed together
    delivery/       outbox → mail, with retry, joins and digests
    smtp.py         one mail, sent

and around them ``cli/`` (what a person types), ``config/`` (TOML and environment → settings),
``daemon`` (introduces all of the above to each other), ``replay`` (the same rules over old files),
``health`` (what makes alertd blind → an alert of its own), ``matchers`` (settings → compiled
rules), ``control`` (status and reload over a unix socket), ``deadline`` (stops a regex that takes
too long), ``ahead`` (reads on meanwhile), ``files``, ``memory``, ``systemd``, ``logs`` and
``demo``.
"""

__version__ = "0.1.0"
