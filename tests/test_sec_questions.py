"""
What the manual of SEC, the simple event correlator, answers, asked of alertd.

For each of its rule types, and for the rulesets at its end: the rule that a user of alertd would
write, lines of the same shape (as many events, the same gaps), and where it rings.  Where that is
not SEC's answer the docstring says what that is and why ours is another.

SEC's rules act: they run programs, create contexts and feed each other events.  alertd's do nothing
but tell people, and each of them sees every line, in whatever order they are written.
"""

from __future__ import annotations

from asking import answered, burst

FAILED = r"""'sshd: Failed \w+ for (?P<user>\S+) from (?P<ip>\S+) port \d+$'"""
ACCEPTED = r"""'sshd: Accepted \w+ for (?P<user>\S+) from (?P<ip>\S+) port \d+$'"""


class TestSingle:
    """Single: an action for each event."""

    def test_each_event_rings(self) -> None:
        """
        The session of one client is opened.

        SEC's rules go on to collect the session's lines in a context, and mail them when it is
        closed.  alertd mails what happens, with the lines that counted; to hand out whole logs is
        not its trade.
        """
        rules = r"""
            [rule.session]
            kind = "match"
            match = 'ftpd\[\d+\]: FTP session opened from client-2$'
            cooldown = "0s"
            """
        log = """
            ! 09:00:00 ftpd[100]: FTP session opened from client-2
              09:00:01 ftpd[101]: FTP session opened from client-1
              09:00:02 ftpd[100]: LIST /
            ! 09:00:03 ftpd[102]: FTP session opened from client-2
              09:00:04 ftpd[100]: FTP session closed
            """

        assert log == answered(rules, log, format_="plain")


class TestSingleWithSuppress:
    """SingleWithSuppress: the first event of a key, then nothing for a while."""

    def test_a_full_disk_is_said_once_in_fifteen_minutes(self) -> None:
        """
        Each file system by itself; 15 minutes is also what alertd's cooldown is by default.

        An event exactly 900 s later rings again; in SEC, which counts whole seconds, one 901 s
        later does.
        """
        rules = r"""
            [rule.disk-full]
            kind = "match"
            match = 'kernel: (?P<mount>\S+): file system full$'
            group_by = "mount"
            cooldown = "15m"
            """
        log = """
            ! 14:26:09 kernel: /var: file system full
              14:26:10 kernel: /var: file system full
            ! 14:30:00 kernel: /tmp: file system full
              14:41:08 kernel: /var: file system full
            ! 14:41:09 kernel: /var: file system full
              14:44:59 kernel: /tmp: file system full
            """

        assert log == answered(rules, log, format_="plain")


class TestPair:
    """Pair: an action for A and, if B follows, one for that; between them no other A counts."""

    LOG = """
        ! 22:39:48 kernel: nfs: server box1 not responding
          22:40:28 kernel: nfs: server box1 not responding
          22:41:09 kernel: nfs: server box1 not responding
          22:42:27 kernel: nfs: server box1 OK
        ! 22:45:00 kernel: nfs: server box2 not responding
        """

    def test_a_server_that_does_not_respond_is_said_once(self) -> None:
        """The first half of the pair."""
        rules = r"""
            [rule.nfs-down]
            kind = "match"
            match = 'nfs: server (?P<server>\S+) not responding$'
            group_by = "server"
            cooldown = "1h"
            """

        assert self.LOG == answered(rules, self.LOG, format_="plain")

    def test_each_change_between_the_two_is_a_question_of_its_own(self) -> None:
        """
        Down, up, down again: with SEC's window of an hour the second outage is said at once, too.

        A cooldown does not end because of another line.  Who wants each outage and each end of one
        asks for the change; but of a server's first line nobody can say that it is a change.
        """
        rules = r"""
            [rule.nfs]
            kind = "change"
            match = 'nfs: server (?P<server>\S+) (?P<state>not responding|OK)$'
            value = "state"
            group_by = "server"
            """
        log = """
              22:00:00 kernel: nfs: server box1 OK
            ! 22:39:48 kernel: nfs: server box1 not responding
              22:40:28 kernel: nfs: server box1 not responding
            ! 22:42:27 kernel: nfs: server box1 OK
              22:43:00 kernel: nfs: server box2 not responding
            ! 22:50:00 kernel: nfs: server box1 not responding
            """

        assert log == answered(rules, log, format_="plain")


class TestSingleWithThreshold:
    """SingleWithThreshold: so many events of a key within a time."""

    RULES = f"""
        [rule.failures]
        match = {FAILED}
        group_by = "user"
        more_than = 2
        within = "1m"
        """

    def test_three_failures_of_a_user_within_a_minute(self) -> None:
        """The window slides: the first failure has left it when the third comes."""
        log = """
              01:42:21 sshd: Failed password for ana from 203.0.113.7 port 42172
              01:43:10 sshd: Failed password for ana from 203.0.113.7 port 42172
              01:43:29 sshd: Failed password for ana from 203.0.113.7 port 42172
              01:44:00 sshd: Failed password for bob from 203.0.113.7 port 42176
            ! 01:44:03 sshd: Failed password for ana from 203.0.113.7 port 42192
              01:44:07 sshd: Failed password for ana from 203.0.113.7 port 42192
            """

        assert log == answered(self.RULES, log, format_="plain")

    def test_a_minute_is_not_longer_than_a_minute(self) -> None:
        """
        The third failure comes 60 s after the first, and not within 60 s of it.

        SEC rings: its clock has whole seconds, so that what it calls 60 s may be almost 61.
        """
        log = """
              12:00:00 sshd: Failed password for ana from 203.0.113.7 port 42172
              12:00:30 sshd: Failed password for ana from 203.0.113.7 port 42172
              12:01:00 sshd: Failed password for ana from 203.0.113.7 port 42172
              13:00:00.001 sshd: Failed password for ana from 203.0.113.7 port 42172
              13:00:30 sshd: Failed password for ana from 203.0.113.7 port 42172
            ! 13:01:00 sshd: Failed password for ana from 203.0.113.7 port 42172
            """

        assert log == answered(self.RULES, log, format_="plain")

    def test_a_flood_is_said_as_often_as_the_cooldown_lets_it(self) -> None:
        """
        A failure every four seconds, for two minutes.

        SEC rings at the third, hides what comes until a minute after the first, and then begins to
        count from nothing: how often it rings depends on when a flood began.  alertd rings at the
        third, too; its window forgets nothing, so that the next is exactly a cooldown later.
        """
        rules = f'{self.RULES}\ncooldown = "1m"'
        line = "sshd: Failed password for ana from 203.0.113.7 port 42172"
        log = burst("01:44:00", 30, line, every=4, rings=[3, 18])

        assert log == answered(rules, log, format_="plain")

    def test_what_is_keyed_by_more_is_counted_in_more_places(self) -> None:
        """One key is ``desc`` with a variable of the pattern in it, the other with two."""
        log = """
              12:00:00 login: user admin failed on tty1
              12:00:01 login: user admin failed on tty5
            ! 12:00:02 login: user admin failed on tty2
            """
        rules = r"""
            [rule.failures]
            match = 'login: user (?P<user>\S+) failed on (?P<tty>\S+)$'
            group_by = ["user"]
            more_than = 2
            within = "1m"
            """
        assert log == answered(rules, log, format_="plain")

        rules = rules.replace('["user"]', '["user", "tty"]')
        log = log.replace("! ", "  ")
        assert log == answered(rules, log, format_="plain")


class TestSingleWith2Thresholds:
    """SingleWith2Thresholds: too many, and later few enough again."""

    def test_a_router_that_is_overloaded_is_said_once(self) -> None:
        """The first threshold: two messages within five minutes."""
        rules = r"""
            [rule.cpu-hog]
            match = ' (?P<router>\S+): %SYS-3-CPUHOG: '
            group_by = "router"
            more_than = 1
            within = "5m"
            """
        log = """
              12:23:25 gw1.example.com gw1: %SYS-3-CPUHOG: the processor is busy
            ! 12:25:38 gw1.example.com gw1: %SYS-3-CPUHOG: the processor is busy
              12:28:53 gw1.example.com gw1: %SYS-3-CPUHOG: the processor is busy
            """

        assert log == answered(rules, log, format_="plain")


class TestEventGroup:
    """EventGroup: several kinds of event, each often enough, within a time."""

    def test_failures_from_three_different_hosts(self) -> None:
        """The manual's last example counts hosts in Perl; here they are ``distinct``."""
        rules = f"""
            [rule.failures-from-everywhere]
            kind = "distinct"
            match = {FAILED}
            distinct = "ip"
            group_by = "user"
            more_than = 2
            within = "1m"
            """
        log = """
              23:04:00 sshd: Failed password for ana from 203.0.113.7 port 32182
              23:04:03 sshd: Failed password for ana from 203.0.113.9 port 42176
              23:04:04 sshd: Failed password for ana from 203.0.113.7 port 34191
            ! 23:04:07 sshd: Failed password for ana from 203.0.113.2 port 18999
            """

        assert log == answered(rules, log, format_="plain")


class TestSuppress:
    """Suppress: events that no later rule is to see."""

    def test_what_is_left_out_stands_in_the_rule(self) -> None:
        """A rule says so itself, in ``unless``: nothing depends on which rule is written first."""
        rules = f"""
            [rule.failures]
            match = {FAILED}
            unless = ' from 192\\.0\\.2\\.'
            group_by = "user"
            more_than = 2
            within = "1m"
            """
        log = """
              12:00:00 sshd: Failed password for ana from 203.0.113.7 port 42172
              12:00:01 sshd: Failed password for ana from 192.0.2.1 port 42172
              12:00:02 sshd: Failed password for ana from 203.0.113.7 port 42172
              12:00:03 sshd: Failed password for ana from 192.0.2.1 port 42172
            ! 12:00:04 sshd: Failed password for ana from 203.0.113.7 port 42172
            """

        assert log == answered(rules, log, format_="plain")

    def test_an_address_that_was_told_is_not_told_for_an_hour(self) -> None:
        """
        SEC's context that lives for an hour is the cooldown of a key.

        SEC can count by user and address, and then pass over all that the address does.  Here it is
        one key that is counted and then quiet: the address.
        """
        rules = f"""
            [rule.failures]
            match = {FAILED}
            group_by = "ip"
            more_than = 2
            within = "1m"
            cooldown = "1h"
            """
        log = """
              12:00:00 sshd: Failed password for ana from 203.0.113.7 port 42172
              12:00:01 sshd: Failed password for ana from 203.0.113.7 port 42172
            ! 12:00:02 sshd: Failed password for ana from 203.0.113.7 port 42172
              12:30:00 sshd: Failed password for bob from 203.0.113.7 port 42172
              12:30:01 sshd: Failed password for bob from 203.0.113.7 port 42172
              12:30:02 sshd: Failed password for bob from 203.0.113.7 port 42172
              12:30:03 sshd: Failed password for bob from 203.0.113.8 port 42172
              12:30:04 sshd: Failed password for bob from 203.0.113.8 port 42172
            ! 12:30:05 sshd: Failed password for bob from 203.0.113.8 port 42172
            """

        assert log == answered(rules, log, format_="plain")


class TestJump:
    """Jump: which rules a line is shown to."""

    SSHD = r"""
        [rule.sshd]
        kind = "match"
        match = { program = "sshd", message = { contains = "Failed" } }
        cooldown = "0s"
        """
    ANY = r"""
        [rule.any]
        kind = "match"
        match = { message = { contains = "Failed" } }
        cooldown = "0s"
        """

    def test_a_rule_says_of_which_program_it_speaks(self) -> None:
        """Every rule sees every line; which of them it is about stands in its ``match``."""
        log = """
            ! 12:00:00 box1 sshd[1]: Failed password for ana
              12:00:01 box1 cron[2]: Failed to start
              12:00:02 box1 sshd[3]: Accepted password for ana
            """

        assert log == answered(self.SSHD, log, format_="syslog")

    def test_a_line_that_one_rule_took_is_there_for_the_others(self) -> None:
        """Without ``continue``, in whichever order; a rule that is added takes nothing away."""
        log = """
            ! 12:00:00 box1 sshd[1]: Failed password for ana
            ! 12:00:01 box1 cron[2]: Failed to start
            """
        for rules in (self.SSHD + self.ANY, self.ANY + self.SSHD):
            assert log == answered(rules, log, format_="syslog", rule="any")

        log = log.replace("! 12:00:01", "  12:00:01")
        for rules in (self.SSHD + self.ANY, self.ANY + self.SSHD):
            assert log == answered(rules, log, format_="syslog", rule="sshd")


class TestOptions:
    """Options: which input a file of rules is for."""

    def test_a_rule_is_for_its_sources(self) -> None:
        """``source`` names them; without it a rule is for all."""
        rules = """
            [source.other]
            paths = ["/var/log/other.log"]

            [rule.other]
            kind = "match"
            match = 'error'
            source = "other"

            [rule.all]
            kind = "match"
            match = 'error'
            """
        log = "  12:00:00 app: error"
        assert log == answered(rules, log, format_="plain", rule="other")

        log = "! 12:00:00 app: error"
        assert log == answered(rules, log, format_="plain", rule="all")


class TestFirewallRuleset:
    """The manual's second example: what iptables and sshd write."""

    def test_a_flood_of_packets_that_begin_a_connection(self) -> None:
        """A hundred within ten seconds from one address, with SYN and without ACK."""
        rules = """
            [rule.syn-flood]
            match = { SYN = { exists = true }, ACK = { exists = false } }
            group_by = "SRC"
            more_than = 99
            within = "10s"
            cooldown = "1h"
            """
        first = "IN=eth0 SRC=203.0.113.7 DPT=23 SYN URGP=0"
        log = "\n".join(
            [
                burst("12:00:00", 50, first, every=0.05),
                burst("12:00:03", 90, "IN=eth0 SRC=203.0.113.7 DPT=23 SYN ACK URGP=0", every=0),
                burst("12:00:04", 90, "IN=eth0 SRC=203.0.113.8 DPT=23 SYN URGP=0", every=0),
                burst("12:00:05", 60, first, every=0, rings=[50]),
            ]
        )

        assert log == answered(rules, log)

    def test_a_probe_from_a_privileged_port(self) -> None:
        """A number out of a regex is compared in ``unless``."""
        rules = r"""
            [rule.probe]
            kind = "match"
            match = 'sshd: Failed \w+ for invalid user (?P<user>\S+) from \S+ port (?P<port>\d+)$'
            unless = { port = { at_least = 1024 } }
            """
        log = """
              12:00:00 sshd: Failed password for invalid user ana from 203.0.113.7 port 1024
              12:00:01 sshd: Failed password for ana from 203.0.113.7 port 22
            ! 12:00:02 sshd: Failed password for invalid user ana from 203.0.113.7 port 1023
            """

        assert log == answered(rules, log, format_="plain")

    def test_ten_probes_for_users_that_do_not_exist(self) -> None:
        """From one address within a minute, whoever they are for."""
        rules = r"""
            [rule.probes]
            match = 'sshd: Failed \w+ for invalid user \S+ from (?P<ip>\S+) port \d+$'
            group_by = "ip"
            more_than = 9
            within = "1m"
            """
        line = "sshd: Failed password for invalid user ana from 203.0.113.7 port 4000"
        log = burst("12:00:00", 12, line, every=6, rings=[10])

        assert log == answered(rules, log, format_="plain")
