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


class TestSingleWithScript:
    """SingleWithScript: a program decides which of two actions an event has."""

    def test_an_interface_that_does_not_come_up_again(self) -> None:
        """
        A ping tells SEC whether an interface that was reported down is down.

        alertd runs no program: a line of a log is no reason to start one.  What it can ask is
        whether the log says within a minute that the interface is up again.
        """
        rules = r"""
            [rule.interface-down]
            kind = "sequence"
            group_by = "ip"
            within = "1m"
            step = [
                { match = 'interface (?P<ip>\S+) down$' },
                { match = 'interface (?P<ip>\S+) up$', absent = true },
            ]
            """
        log = """
              12:00:00 interface 203.0.113.1 down
              12:00:10 interface 203.0.113.2 down
              12:00:40 interface 203.0.113.2 up
            ! 12:01:00 * ip=203.0.113.1
              12:05:00 interface 203.0.113.3 up
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

    def test_that_it_responds_again_is_said_once(self) -> None:
        """
        The second half; its mail has both lines, and so the time of the outage.

        An end without a beginning is none; after an hour it is no longer waited for.
        """
        rules = r"""
            [rule.nfs-up]
            kind = "sequence"
            group_by = "server"
            within = "1h"
            step = [
                { match = 'nfs: server (?P<server>\S+) not responding$' },
                { match = 'nfs: server (?P<server>\S+) OK$' },
            ]
            """
        log = """
              21:00:00 kernel: nfs: server box2 not responding
              22:30:00 kernel: nfs: server box3 OK
              22:39:48 kernel: nfs: server box1 not responding
              22:40:28 kernel: nfs: server box1 not responding
            ! 22:42:27 kernel: nfs: server box1 OK
              22:43:00 kernel: nfs: server box1 OK
              22:44:00 kernel: nfs: server box2 OK
            """

        assert log == answered(rules, log, format_="plain")

    def test_how_long_it_waits_counts_from_the_last_beginning(self) -> None:
        """
        Not responding at 22:00 and at 22:50, responding at 23:10: with a window of an hour.

        SEC's operation ends an hour after 22:00, so that 23:10 finds nothing to end.  In alertd
        what was said at 22:50 is a beginning, too.
        """
        rules = r"""
            [rule.nfs-up]
            kind = "sequence"
            group_by = "server"
            within = "1h"
            step = [
                { match = 'nfs: server (?P<server>\S+) not responding$' },
                { match = 'nfs: server (?P<server>\S+) OK$' },
            ]
            """
        log = """
              22:00:00 kernel: nfs: server box1 not responding
              22:50:00 kernel: nfs: server box1 not responding
            ! 23:10:00 kernel: nfs: server box1 OK
            """

        assert log == answered(rules, log, format_="plain")

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


class TestPairWithWindow:
    """PairWithWindow: A, and no B within a time; or A, and then B."""

    FAILURE_ALONE = f"""
        [rule.could-not-log-in]
        kind = "sequence"
        group_by = ["user", "ip"]
        within = "1m"
        cooldown = "0s"
        step = [
            {{ match = {FAILED} }},
            {{ match = {ACCEPTED}, absent = true }},
        ]
        """
    LOG = """
          13:02:01 sshd: Failed password for ana from 203.0.113.7 port 42172
          13:02:30 sshd: Failed password for root from 192.0.2.104 port 46125
          13:02:37 sshd: Failed password for ana from 203.0.113.7 port 42172
          13:02:59 sshd: Failed password for root from 192.0.2.104 port 46125
        ! 13:03:01 * user=ana ip=203.0.113.7
          13:03:04 sshd: Accepted password for root from 192.0.2.104 port 46125
          13:10:00 cron: nothing
        """

    def test_who_fails_and_does_not_get_in_within_a_minute(self) -> None:
        """
        The manual's timeline: ana does not, root does.

        The minute begins with the first failure, and later ones in it are part of the same trouble.
        """
        assert self.LOG == answered(self.FAILURE_ALONE, self.LOG, format_="plain")

    def test_what_comes_at_the_very_end_of_the_minute_is_in_time(self) -> None:
        """In SEC as well; but there a second is as short as a time can be."""
        log = """
              12:00:00 sshd: Failed password for ana from 203.0.113.7 port 42172
              12:01:00 sshd: Accepted password for ana from 203.0.113.7 port 42172
              13:00:00 sshd: Failed password for ana from 203.0.113.7 port 42172
            ! 13:01:00 * user=ana ip=203.0.113.7
              13:01:00.001 sshd: Accepted password for ana from 203.0.113.7 port 42172
            """

        assert log == answered(self.FAILURE_ALONE, log, format_="plain")

    def test_who_gets_in_after_a_failure(self) -> None:
        """The other action is another rule: the same steps, and none of them absent."""
        rules = self.FAILURE_ALONE.replace(", absent = true", "")
        log = self.LOG.replace("        ! 13:03:01 * user=ana ip=203.0.113.7\n", "")
        log = log.replace("  13:03:04", "! 13:03:04")

        assert log == answered(rules, log, format_="plain")

    def test_three_failures_and_no_success(self) -> None:
        """
        SEC's ``reset`` action: after a success a threshold's count begins anew.

        Two failures, a success, and one failure more do not ring in either.  Where three come in a
        row SEC rings at once.  No line makes a threshold of alertd forget, for then who may write
        that line could silence it; and a sequence rings a minute after the third, when it is sure
        that no success follows.
        """
        rules = f"""
            [rule.three-and-never-in]
            kind = "sequence"
            group_by = "user"
            within = "1m"
            step = [
                {{ match = {FAILED}, count = 3 }},
                {{ match = {ACCEPTED}, absent = true }},
            ]
            """
        log = """
              15:00:03 sshd: Failed password for ana from 203.0.113.7 port 31312
              15:00:08 sshd: Failed password for ana from 203.0.113.7 port 31312
              15:00:17 sshd: Accepted password for ana from 203.0.113.7 port 31312
              15:00:52 sshd: Failed password for ana from 203.0.113.2 port 17721
              16:00:03 sshd: Failed password for ana from 203.0.113.7 port 31312
              16:00:08 sshd: Failed password for ana from 203.0.113.7 port 31312
              16:00:52 sshd: Failed password for ana from 203.0.113.2 port 17721
            ! 16:01:52 * user=ana
              16:02:00 cron: nothing
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

    def test_a_router_that_has_been_quiet_for_an_hour_is_said_once(self) -> None:
        """
        The second threshold: none within an hour, counted from the last one.

        Here that is a rule by itself, which also rings for a router with a single message.
        """
        rules = r"""
            [rule.cpu-normal]
            kind = "absence"
            match = ' (?P<router>\S+): %SYS-3-CPUHOG: '
            group_by = "router"
            fewer_than = 1
            within = "1h"
            """
        log = """
              12:23:25 gw1.example.com gw1: %SYS-3-CPUHOG: the processor is busy
              12:25:38 gw1.example.com gw1: %SYS-3-CPUHOG: the processor is busy
              12:28:53 gw1.example.com gw1: %SYS-3-CPUHOG: the processor is busy
            ! 13:28:53 * router=gw1
              18:00:00 gw2.example.com gw2: nothing
            """

        assert log == answered(rules, log, format_="plain")


class TestEventGroup:
    """EventGroup: several kinds of event, each often enough, within a time."""

    def test_three_kinds_of_event_in_any_order(self) -> None:
        """
        The manual's host that probes the firewall, the web server and sshd within two minutes.

        SEC wants five, three and two of them, and rings at the second failure, 01:14:12.  alertd
        counts different kinds of event, each of which is there once it has been there: the first
        failure is enough.
        """
        rules = r"""
            [rule.prober]
            kind = "distinct"
            distinct = "what"
            match = [
                'kernel: (?P<what>iptables): .*SRC=(?P<ip>\S+) ',
                ' (?P<ip>\S+) "GET \S+ HTTP/1\.1" (?P<what>4)\d\d$',
                'sshd: (?P<what>Failed) \w+ for \S+ from (?P<ip>\S+) port \d+$',
            ]
            group_by = "ip"
            more_than = 2
            within = "2m"
            """
        failed = "sshd: Failed password for root from 203.0.113.7 port 46125"
        log = "\n".join(
            [
                '  01:11:22 203.0.113.7 "GET /a HTTP/1.1" 404',
                burst("01:12:52", 6, "kernel: iptables: SRC=203.0.113.7 DPT=21", every=3),
                burst("01:13:51", 5, '203.0.113.7 "GET /a HTTP/1.1" 404', every=3),
                burst("01:14:08", 1, failed.replace(".7", ".8")),
                burst("01:14:11", 4, failed, rings=[1]),
                '  01:14:34 203.0.113.7 "GET /a HTTP/1.1" 404',
            ]
        )

        assert log == answered(rules, log, format_="plain")

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

    def test_two_and_two_in_an_order(self) -> None:
        """The manual's pattern over the order of events: B, B, A, A are not yet what A, A, B is."""
        rules = """
            [rule.a-then-b]
            kind = "sequence"
            within = "1m"
            step = [{ match = 'EVENT_A', count = 2 }, { match = 'EVENT_B' }]
            """
        log = """
              12:05:31 EVENT_B
              12:05:32 EVENT_B
              12:05:38 EVENT_A
              12:05:39 EVENT_A
            ! 12:05:42 EVENT_B
            """

        assert log == answered(rules, log, format_="plain")

    def test_a_firewall_event_a_failure_and_a_success(self) -> None:
        """
        The manual's third example: in that order, which is the one that tells.

        SEC wants each of the three within two minutes, and of success and failure that they are of
        the same user, by contexts; in alertd all steps of a sequence have the same key, here the
        address.
        """
        rules = f"""
            [rule.intruder]
            kind = "sequence"
            group_by = "ip"
            within = "2m"
            step = [
                {{ match = 'iptables: .*SRC=(?P<ip>\\S+)' }},
                {{ match = {FAILED} }},
                {{ match = {ACCEPTED} }},
            ]
            """
        log = """
              19:00:06 kernel: iptables: IN=eth0 SRC=203.0.113.7 DPT=23 SYN
              19:00:14 sshd: Accepted password for root from 203.0.113.7 port 52609
              19:00:24 sshd: Failed password for ana from 203.0.113.7 port 52622
            ! 19:00:27 sshd: Accepted password for ana from 203.0.113.7 port 52622
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


class TestCalendar:
    """Calendar: an action at a time of day."""

    def test_a_backup_that_is_not_ready_by_half_past_two(self) -> None:
        """
        The manual waits for it from 2:00 to 2:30, by a Calendar and a PairWithWindow.

        SEC may say on which days; alertd's time of day is that of every day.
        """
        rules = """
            [rule.backup]
            kind = "absence"
            match = 'BACKUP READY'
            fewer_than = 1
            by = "02:30"
            within = "30m"
            """
        log = """
              00:00:00 cron: started
              02:10:00 db: BACKUP READY
            ! 2026-03-02T02:30:00 *
              2026-03-02T03:00:00 db: BACKUP READY
              2026-03-03T02:00:01 db: BACKUP READY
              2026-03-04T02:00:00 db: BACKUP READY
            ! 2026-03-04T02:30:00 *
              2026-03-04T12:00:00 cron: nothing
            """

        assert log == answered(rules, log, format_="plain", source='timezone = "UTC"')


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


class TestRouterRuleset:
    """The manual's first example: what routers write."""

    def test_a_router_that_does_not_come_up(self) -> None:
        """A reload, and within five minutes no restart."""
        rules = r"""
            [rule.reboot-failure]
            kind = "sequence"
            group_by = "router"
            within = "5m"
            step = [
                { match = ' (?P<router>\S+): %SYS-5-RELOAD' },
                { match = ' (?P<router>\S+): %SYS-5-RESTART', absent = true },
            ]
            """
        log = """
              12:00:00 gw1.example.com gw1: %SYS-5-RELOAD: requested
              12:01:00 gw2.example.com gw2: %SYS-5-RELOAD: requested
              12:04:59 gw2.example.com gw2: %SYS-5-RESTART: restarted
            ! 12:05:00 * router=gw1
              12:30:00 gw1.example.com gw1: %SYS-5-RESTART: restarted
            """

        assert log == answered(rules, log, format_="plain")

    LINK = r"%LINK-3-UPDOWN: Interface (?P<interface>\S+), changed state to"

    def test_an_interface_that_stays_down(self) -> None:
        """More than a quarter of a minute; one that is up before is a short outage."""
        down, up = (rf"' (?P<router>\S+): {self.LINK} {state}$'" for state in ("down", "up"))
        rules = f"""
            [rule.interface-down]
            kind = "sequence"
            group_by = ["router", "interface"]
            within = "15s"
            step = [{{ match = {down} }}, {{ match = {up}, absent = true }}]
            """
        short = rules.replace(", absent = true", "")
        log = """
              12:00:00 box gw1: %LINK-3-UPDOWN: Interface eth0, changed state to down
              12:00:03 box gw1: %LINK-3-UPDOWN: Interface eth1, changed state to down
            {short} 12:00:14 box gw1: %LINK-3-UPDOWN: Interface eth0, changed state to up
            {long}
              12:01:00 box gw1: %LINK-3-UPDOWN: Interface eth1, changed state to up
            """

        long_log = log.format(short=" ", long="! 12:00:18 * router=gw1 interface=eth1")
        assert long_log == answered(rules, long_log, format_="plain")
        short_log = log.format(short="!", long="")
        assert short_log == answered(short, short_log, format_="plain")
