"""
What ElastAlert 2's own rule tests ask, asked of alertd.

For each test of its ``tests/rules_test.py``: a log of the same shape (as many events, the same
gaps, the same values), the rule that a user of alertd would write, and where it rings.  Where that
is not ElastAlert's answer the docstring says what that is and why ours is another.

What it tests beside questions about events is not asked again: calls of its classes with wrong
arguments, the queries that it sends to Elasticsearch, and the texts that it formats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from asking import answered, ask, burst, load

from alertd.config import ConfigError
from alertd.core.detectors.ratio import Ratio

if TYPE_CHECKING:
    from pathlib import Path


class TestAny:
    """``any``: each event that the query finds."""

    def test_each_event_rings(self) -> None:
        """``test_any``."""
        rules = """
            [rule.any]
            kind = "match"
            match = { event = { exists = true } }
            cooldown = "0s"
            """
        log = """
            ! 12:00:00 event=1
            ! 12:00:00 event=2
            ! 12:00:01 event=3
            """

        assert log == answered(rules, log)


class TestFrequency:
    """``frequency``: so many events within a time."""

    RULES = """
        [rule.frequency]
        match = {{ user = {{ exists = true }} }}
        {group_by}
        more_than = {more_than}
        within = "1h"
        """

    @pytest.mark.parametrize("group_by", ["", 'group_by = "user"'])
    def test_59_events_ring_when_there_are_60(self, group_by: str) -> None:
        """``test_freq``: ``num_events = 59`` is ``more_than = 58``; of a key likewise."""
        rules = self.RULES.format(group_by=group_by, more_than=58)
        log = burst("12:00:00", 60, "user=ana", rings=[59])

        assert log == answered(rules, log)

    def test_61_events_do_not_when_there_are_60(self) -> None:
        """``test_freq``: one event is missing."""
        rules = self.RULES.format(group_by='group_by = "user"', more_than=60)
        log = burst("12:00:00", 60, "user=ana")

        assert log == answered(rules, log)

    def test_what_rang_still_counts(self) -> None:
        """
        ``test_freq``, without any pause between alerts.

        ElastAlert rings once: it forgets the 59 events that rang, so that a flood of 117 rings no
        more than one of 59.  alertd's window always holds what the last hour brought; how often
        that is said is the cooldown's business alone.
        """
        rules = self.RULES.format(group_by='cooldown = "0s"', more_than=58)
        log = burst("12:00:00", 60, "user=ana", rings=[59, 60])

        assert log == answered(rules, log)

    def test_100_events_ring_however_they_are_spread(self) -> None:
        """``test_freq_count``, its first half: 75, 10, 10, and of the next 6 the fifth."""
        rules = self.RULES.format(group_by="", more_than=99)
        log = "\n".join(
            [
                burst("00:00:00", 75, "user=ana", every=0),
                burst("00:15:00", 10, "user=ana", every=0),
                burst("00:25:00", 10, "user=ana", every=0),
                burst("00:45:00", 6, "user=ana", every=0, rings=[5]),
            ]
        )

        assert log == answered(rules, log)

    def test_what_is_too_old_no_longer_counts_and_what_comes_late_does(self) -> None:
        """
        ``test_freq_count``, its second half: the 75 of midnight do not count, those of 1:00 do.

        ElastAlert rings at the late ones, which it reads last.  alertd puts them in order first, as
        far as ``lateness``, so that the event that rings is the hundredth in time.
        """
        rules = self.RULES.format(group_by="", more_than=99)
        log = "\n".join(
            [
                burst("00:00:00", 75, "user=ana", every=0),
                burst("00:45:00", 10, "user=ana", every=0),
                burst("00:55:00", 10, "user=ana", every=0),
                burst("01:05:00", 6, "user=ana", every=0, rings=[5]),
                burst("01:00:00", 75, "user=ana", every=0),
            ]
        )

        assert log == answered(rules, log, source='lateness = "10m"')

    def _out_of_order(self, *, rings: tuple[int, ...] = (), late_rings: tuple[int, ...]) -> str:
        in_order = burst("12:00:00", 60, "user=ana", rings=rings).split("\n")
        return "\n".join(
            [
                *in_order[:10],
                burst("11:00:00", 50, "user=ana", every=0, rings=late_rings),
                *in_order[15:20],
                *in_order[10:15],
                *in_order[20:55],
                *in_order[57:],
                *in_order[55:57],
            ]
        )

    def test_what_comes_out_of_order_counts_at_its_own_time(self) -> None:
        """``test_freq_out_of_order``: 50 events of an hour ago are too old to count."""
        rules = self.RULES.format(group_by="", more_than=58)
        log = self._out_of_order(rings=(59,), late_rings=())

        assert log == answered(rules, log, source='lateness = "2h"')

    def test_what_comes_too_late_counts_at_the_time_of_the_newest_line(self) -> None:
        """
        ``test_freq_out_of_order``, with the default ``lateness`` of no time at all.

        ElastAlert lets an event be as late as it likes, and keeps everything for it.  alertd rings
        at once and without waiting for what may still come, and rather counts a late line with the
        newest ones than not at all: 10 and the 49 of an hour ago are 59.
        """
        rules = self.RULES.format(group_by="", more_than=58)
        log = self._out_of_order(late_rings=(49,))

        assert log == answered(rules, log)

    def test_each_key_has_a_count_of_its_own(self) -> None:
        """``test_freq_terms``: bob's tenth comes with the second batch, ana's with the third."""
        rules = self.RULES.format(group_by='group_by = "user"', more_than=9)
        log = "\n".join(
            [
                burst("00:01:00", 1, "user=ana", every=0),
                burst("00:01:00", 5, "user=bob", every=0),
                burst("00:10:00", 8, "user=ana", every=0),
                burst("00:10:00", 5, "user=bob", every=0, rings=[5]),
                burst("00:25:00", 3, "user=ana", every=0, rings=[1]),
            ]
        )

        assert log == answered(rules, log)

    def test_a_window_is_open_at_its_old_end(self) -> None:
        """``test_eventwindow``: 10 minutes before 10:09 are four events, before 10:14 three."""
        rules = """
            [rule.window]
            match = { event = { exists = true } }
            more_than = 3
            within = "10m"
            cooldown = "0s"
            """
        log = """
              10:00:00 event=2
              10:05:00 event=4
              10:03:00 event=3
              09:55:00 event=1
            ! 10:09:00 event=5
              10:14:00 event=6
            """
        assert log == answered(rules, log, source='lateness = "20m"')

        rules = rules.replace("more_than = 3", "more_than = 2")
        log = """
              10:00:00 event=2
            ! 10:05:00 event=4
            ! 10:03:00 event=3
              09:55:00 event=1
            ! 10:09:00 event=5
            ! 10:14:00 event=6
            """
        assert log == answered(rules, log, source='lateness = "20m"')


class TestSpike:
    """
    ``spike``: so many times as many as in the window before.

    ElastAlert rings at exactly ``spike_height`` times as many, alertd at more than ``times`` as
    many: where its tests double a rate, ours must be a little less than 2.

    Not asked again is ``threshold_ref``, below which ElastAlert compares with nothing.  What alertd
    needs against a reference that is too small is ``min_count``, the ``threshold_cur`` there.
    """

    RULES = """
        [rule.spike]
        kind = "spike"
        match = {{ event = {{ exists = true }} }}
        times = {times}
        min_count = {least}
        within = "{within}"
        {more}
        """

    def test_twice_as_many_as_before_ring(self) -> None:
        """``test_spike_count``, upwards: 10, 10, 20."""
        rules = self.RULES.format(times=1.9, least=10, within="10s", more="")
        log = "\n".join(
            [
                burst("00:00:00", 10, "event=a", every=0),
                burst("00:00:10", 10, "event=a", every=0),
                burst("00:00:20", 20, "event=a", every=0, rings=[20]),
            ]
        )

        assert log == answered(rules, log)

    def test_exactly_twice_as_many_are_not_more_than_that(self) -> None:
        """The same with ``times = 2``, where ElastAlert rings."""
        rules = self.RULES.format(times=2, least=10, within="10s", more="")
        log = "\n".join(
            [
                burst("00:00:00", 10, "event=a", every=0),
                burst("00:00:10", 10, "event=a", every=0),
                burst("00:00:20", 20, "event=a", every=0),
                burst("00:00:20", 1, "event=a", rings=[1]),
            ]
        )

        assert log == answered(rules, log)

    def test_too_few_are_an_absence(self) -> None:
        """
        ``test_spike_count`` and ``test_spike``, downwards: 10, 10, 0; and ten a second, then none.

        ElastAlert compares with the window before here, too.  alertd says how many there have to
        be: what stops is nothing that an event could tell.
        """
        rules = """
            [rule.drop]
            kind = "absence"
            match = { event = { exists = true } }
            fewer_than = 4
            within = "10s"
            """
        log = "\n".join(
            [
                burst("00:00:00", 10, "event=a", every=0),
                burst("00:00:10", 10, "event=a", every=0),
                "! 00:00:20 *",
                "  00:00:21 other=1",
            ]
        )
        assert log == answered(rules, log)

        log = "\n".join(
            [
                burst("12:00:00", 50, "event=a"),
                "! 12:00:56 *",
                burst("12:01:15", 25, "event=a"),
            ]
        )
        assert log == answered(rules, log)

    def test_a_constant_rate_does_not_ring(self) -> None:
        """``test_spike``: an event a second."""
        rules = self.RULES.format(times=1.9, least=10, within="10s", more="")
        log = burst("12:00:00", 100, "event=a")

        assert log == answered(rules, log)

    @staticmethod
    def doubled(rings: bool) -> str:  # noqa: FBT001 - what is asked
        """An event a second, and from 12:00:50 on another one a millisecond after each."""
        seconds = [f"  12:00:{second:02} event=a" for second in range(50)]
        for second in range(50, 60):
            seconds += [f"  12:00:{second} event=a", f"  12:00:{second}.001 event=a"]
        if rings:
            seconds[-1] = seconds[-1].replace("  12", "! 12")
        later = [burst(f"12:01:{second:02}", 2, "event=a", every=0.001) for second in range(40)]
        return "\n".join(seconds + later)

    def test_a_rate_that_doubles_rings_once_it_has_for_the_whole_window(self) -> None:
        """``test_spike``: at the twentieth event in ten seconds, and not thrice as many."""
        rules = self.RULES.format(times=1.9, least=10, within="10s", more="")
        log = self.doubled(rings=True)
        assert log == answered(rules, log)

        rules = self.RULES.format(times=2.9, least=10, within="10s", more="")
        log = self.doubled(rings=False)
        assert log == answered(rules, log)

    def test_fewer_than_min_count_are_no_spike(self) -> None:
        """``test_spike`` with ``threshold_cur``: there are never 30."""
        rules = self.RULES.format(times=1.9, least=30, within="10s", more="")
        log = self.doubled(rings=False)

        assert log == answered(rules, log)

    def test_what_has_only_begun_is_no_spike(self) -> None:
        """
        ``test_spike`` with ``alert_on_new_data``: 25 events in the first 30 s there are.

        ElastAlert rings, as it would after every start.  alertd judges nothing until the rule has
        been watching for both windows.  More than 24 in 30 s, whatever was before, is a threshold.
        """
        rules = self.RULES.format(times=1.9, least=25, within="30s", more="")
        log = burst("12:00:00", 45, "event=a")
        assert log == answered(rules, log)

        rules = """
            [rule.many]
            match = { event = { exists = true } }
            more_than = 24
            within = "30s"
            """
        log = burst("12:00:00", 45, "event=a", rings=[25])
        assert log == answered(rules, log)

    def test_each_key_is_compared_with_itself(self) -> None:
        """
        ``test_spike_query_key``: bob's events do not double ana's.

        Bob is new, of whom ElastAlert says nothing unless it is told to.  alertd compares what is
        new with none, so that ``min_count`` says how many of him would be many.
        """
        rules = self.RULES.format(times=1.9, least=15, within="10s", more='group_by = "event"')
        ana = burst("12:00:00", 50, "event=ana")
        both = [
            f"  12:00:{second} event={name}" for second in range(50, 60) for name in ("bob", "ana")
        ]
        log = "\n".join([ana, *both])
        assert log == answered(rules, log)

        doubled = [line for line in both for _ in range(2 if line.endswith("ana") else 1)]
        doubled[-1] = doubled[-1].replace("  12", "! 12")
        log = "\n".join([ana, *doubled])
        assert log == answered(rules, log)

    def test_a_key_may_be_a_nested_field(self) -> None:
        """``test_spike_deep_key``: each value of it is counted by itself."""
        rules = self.RULES.format(times=1.9, least=2, within="10s", more='group_by = "foo.bar.baz"')
        log = """
              12:00:00 {"event": 1, "foo": {"bar": {"baz": "a"}}}
              12:01:00 {"event": 1, "foo": {"bar": {"baz": "a"}}}
              12:01:00 {"event": 1, "foo": {"bar": {"baz": "b"}}}
            ! 12:01:00 {"event": 1, "foo": {"bar": {"baz": "a"}}}
            """

        assert log == answered(rules, log, format_="json")

    def test_keys_that_rise_and_keys_that_are_new(self) -> None:
        """
        ``test_spike_terms``: bob rises from 5 to 27, ana from 22 to 25 does not; cid and dan begin.

        At 0:10 nothing rings: there is no whole window before yet.  That cid is new rings as with
        ``alert_on_new_data``, and once.
        """
        group_by = 'group_by = "event"'
        counts: list[tuple[str, str, int, list[int]]] = [
            ("00:01:00", "ana", 10, []),
            ("00:01:00", "bob", 5, []),
            ("00:10:00", "ana", 22, []),
            ("00:10:00", "bob", 5, []),
            ("00:25:00", "ana", 25, []),
        ]

        def log_of(*counts: tuple[str, str, int, list[int]]) -> str:
            return "\n".join(
                burst(begin, count, f"event={name}", every=0, rings=rings)
                for begin, name, count, rings in counts
            )

        rules = self.RULES.format(times=2, least=5, within="10m", more=group_by)
        log = log_of(*counts, ("00:25:00", "bob", 27, [11]))
        assert log == answered(rules, log)

        rules = self.RULES.format(times=2, least=50, within="10m", more=group_by)
        log = log_of(
            *counts,
            ("00:25:00", "bob", 27, []),
            ("00:27:00", "ana", 10, []),
            ("00:27:00", "bob", 12, []),
            ("00:27:00", "cid", 100, [50]),
            ("00:30:00", "dan", 100, [50]),
            ("00:30:00", "cid", 100, []),
        )
        assert log == answered(rules, log)

    def test_a_rate_that_stays_high_is_a_spike_once(self) -> None:
        """
        ``test_spike_terms_query_key_alert_on_new_data``: 10, 10, 10, none, and then 20 each.

        The mail of 0:26 is the only one; ElastAlert empties its windows then, in alertd the
        cooldown holds until the rate is what it was before.
        """
        rules = self.RULES.format(times=1.5, least=1, within="10m", more='group_by = "event"')
        log = "\n".join(
            [
                burst("00:01:00", 10, "event=ana", every=0),
                burst("00:06:00", 10, "event=ana", every=0),
                burst("00:11:00", 10, "event=ana", every=0),
                burst("00:21:00", 20, "event=ana", every=0),
                burst("00:26:00", 20, "event=ana", every=0, rings=[1]),
                burst("00:31:00", 20, "event=ana", every=0),
                burst("00:36:00", 20, "event=ana", every=0),
                burst("00:41:00", 20, "event=ana", every=0),
            ]
        )

        assert log == answered(rules, log)


class TestSpikeAggregation:
    """``spike_aggregation``: so many times as much, of a number that is computed of values."""

    def test_a_percentile_that_rises_is_compared_with_a_number(self) -> None:
        """
        ``test_spike_percentiles``: the 95th percentile of bytes, first 0 and then 9,879.

        alertd compares counts with what was before, and what it measures with a number that
        somebody chose: a percentile that is compared with another one would need all values kept.
        """
        rules = """
            [rule.bytes]
            kind = "metric"
            metric = "p95"
            value = "bytes"
            within = "5m"
            more_than = 5000
            """
        log = """
              02:00:00 bytes=0.0
            ! 12:00:00 bytes=9879.0
            """

        assert log == answered(rules, log)


class TestBlacklist:
    """``blacklist``: a field has one of these values."""

    def test_a_value_of_the_list_rings(self) -> None:
        """``test_blacklist``: only in that field, and only the whole value."""
        rules = """
            [rule.blacklist]
            kind = "match"
            match = { term = ["bad", "really bad"] }
            cooldown = "0s"
            """
        log = """
              12:34:56 term=good
            ! 12:34:57 term=bad
              12:34:58 term="also good"
            ! 12:34:59 term="really bad"
              12:35:00 no_term=bad
            """

        assert log == answered(rules, log)


class TestWhitelist:
    """``whitelist``: a field has none of these values."""

    def test_a_value_that_is_not_in_the_list_rings(self) -> None:
        """``test_whitelist``: the values that are allowed stand in ``unless``."""
        rules = """
            [rule.whitelist]
            kind = "match"
            match = { term = { exists = true } }
            unless = { term = ["good", "also good"] }
            cooldown = "0s"
            """
        log = """
              12:34:56 term=good
            ! 12:34:57 term=bad
              12:34:58 term="also good"
            ! 12:34:59 term="really bad"
              12:35:00 no_term=bad
            """

        assert log == answered(rules, log)

    def test_a_missing_value_rings_if_it_is_asked_for(self) -> None:
        """``test_whitelist_dont_ignore_nulls``: ``not`` holds for a field that is missing."""
        rules = """
            [rule.whitelist]
            kind = "match"
            match = { term = { not = ["good", "also good"] } }
            cooldown = "0s"
            """
        log = """
              12:34:56 term=good
            ! 12:34:57 term=bad
              12:34:58 term="also good"
            ! 12:34:59 term="really bad"
            ! 12:35:00 no_term=bad
            """

        assert log == answered(rules, log)


class TestChange:
    """``change``: a field is not what it was."""

    LOG = """
          12:00:00 user=ana term=good second=yes
          12:00:01 user=ana term=good second=yes
          12:00:07 user=ana term=good second=yes
          12:00:08 user=ana
        ! 12:00:09 user=ana term=bad second=no
        """

    def test_another_value_rings_once(self) -> None:
        """``test_change``, of a field; a line without it is passed over."""
        rules = """
            [rule.change]
            kind = "change"
            value = "term"
            group_by = "user"
            """

        assert self.LOG == answered(rules, self.LOG)

    def test_several_fields_are_one_text(self) -> None:
        """
        ``test_change``: with ``compound_compare_key`` one alert tells that two fields changed.

        alertd compares one text, which a group of a regex can make of fields that stand side by
        side.  Otherwise there is a rule for each field, and a mail for each that changed.
        """
        rules = r"""
            [rule.change]
            kind = "change"
            match = 'user=(?P<user>\S+) (?P<both>term=\S+ second=\S+)$'
            value = "both"
            group_by = "user"
            """

        assert self.LOG == answered(rules, self.LOG, format_="plain")

    def test_a_missing_value_is_a_rule_of_its_own(self) -> None:
        """
        ``test_change`` without ``ignore_null``.

        ElastAlert takes "nothing" for a value, so that it rings twice for a field that once was
        left out: when it goes, and when it comes back.  A line that has no such field says nothing
        about it, and whether that is amiss is another question.
        """
        rules = """
            [rule.missing]
            kind = "match"
            match = { user = { exists = true }, term = { exists = false } }
            """
        log = self.LOG.replace("! ", "  ").replace("  12:00:08", "! 12:00:08")

        assert log == answered(rules, log)

    @pytest.mark.parametrize(("within", "mark"), [("3s", "!"), ("2s", " ")])
    def test_another_value_soon_after_is_two_values_within_a_time(
        self, within: str, mark: str
    ) -> None:
        """
        ``test_change`` with a ``timeframe``, after which ElastAlert forgets the value before.

        That question is ``distinct``: more than one value within so long.  A window is open, so
        that two values 2 s apart are not within 2 s of each other.
        """
        rules = f"""
            [rule.change-soon]
            kind = "distinct"
            distinct = "term"
            group_by = "user"
            more_than = 1
            within = "{within}"
            """
        log = self.LOG.replace("! ", f"{mark} ")

        assert log == answered(rules, log)


class TestNewTerm:
    """``new_term``: a field has a value that it never had."""

    KNOWN = """
          2026-02-10T08:00:00 a=key1 b=key1
          2026-02-20T08:00:00 a=key2 b=key2
        """

    def test_a_value_that_history_does_not_have_rings_once(self) -> None:
        """
        ``test_new_term``: of field *b*, and not where it is missing.

        ElastAlert asks its store for what 30 days knew, at every start.  alertd reads what it knows
        out of the log, for as long as ``learn`` says, and keeps it.
        """
        rules = """
            [rule.new-term]
            kind = "new_value"
            value = "b"
            learn = "15d"
            """
        log = (
            self.KNOWN
            + """
          12:00:00 a=key1 b=key2
          12:00:01 a=key2
        ! 12:00:02 a=key2 b=key3
          12:00:03 a=key2 b=key3
        """
        )

        assert log == answered(rules, log)

    def test_a_missing_field_is_a_rule_of_its_own(self) -> None:
        """``test_new_term`` with ``alert_on_missing_field``."""
        rules = """
            [rule.missing]
            kind = "match"
            match = { a = { exists = true }, b = { exists = false } }
            """
        log = """
              12:00:00 a=key1 b=key2
            ! 12:00:01 a=key2
            """

        assert log == answered(rules, log)

    def test_a_nested_field_has_a_dotted_name(self) -> None:
        """``test_new_term_nested_field``."""
        rules = """
            [rule.new-term]
            kind = "new_value"
            value = "b.c"
            learn = "15d"
            """
        log = """
              2026-02-10T08:00:00 {"b": {"c": "key1"}}
              2026-02-11T08:00:00 {"b": {"c": "key2"}}
            ! 12:00:00 {"b": {"c": "key3"}}
            """

        assert log == answered(rules, log, format_="json")

    def test_values_that_come_together_are_each_looked_at(self) -> None:
        """``test_new_term_with_terms``: known ones, a new one, and the new one again."""
        rules = """
            [rule.new-term]
            kind = "new_value"
            value = "a"
            learn = "15d"
            """
        log = (
            self.KNOWN
            + """
          12:00:00 a=key1
          12:00:00 a=key2
        ! 12:00:01 a=key3
          12:00:02 a=key3
        """
        )

        assert log == answered(rules, log)

    def test_a_value_may_be_new_for_some_others(self) -> None:
        """
        ``test_new_term_with_composite_fields``: *c* is compared with what (*a*, *b*) had before.

        ElastAlert also rings for a new pair (*a*, *b*).  alertd does not, as long as that pair may
        still be learning: a machine that is new brings only what is new.
        """
        rules = """
            [rule.new-triple]
            kind = "new_value"
            value = "c"
            group_by = ["a", "b"]
            learn = "15d"
            """
        log = """
              2026-02-10T08:00:00 a=key1 b=key2 c=key3
              2026-02-11T08:00:00 a=key1 b=key2 c=key4
              12:00:00 a=key1 b=key2 c=key3
            ! 12:00:01 a=key1 b=key2 c=key5
              12:00:02 a=key1 b=key2 c=key4 d=unrelated
              12:00:03 a=key2
              12:00:04 a=key6 b=key2 c=key3
            """

        assert log == answered(rules, log)

    def test_several_fields_are_one_text(self) -> None:
        """
        ``test_new_term_with_composite_fields``, so that any new pair rings.

        Where the fields stand side by side in the line, a group of a regex makes one text of them.
        """
        rules = r"""
            [rule.new-pair]
            kind = "new_value"
            match = 'Accepted \w+ for (?P<who>\S+ from \S+)$'
            value = "who"
            learn = "15d"
            """
        log = """
              2026-02-10T08:00:00 Accepted password for ana from 203.0.113.1
              2026-02-11T08:00:00 Accepted password for bob from 203.0.113.2
              12:00:00 Accepted password for ana from 203.0.113.1
            ! 12:00:01 Accepted password for ana from 203.0.113.2
            ! 12:00:02 Accepted password for cid from 203.0.113.2
              12:00:03 Accepted password for cid from 203.0.113.2
            """

        assert log == answered(rules, log, format_="plain")


class TestFlatline:
    """``flatline``: fewer events than there should be."""

    RULES = """
        [rule.flatline]
        kind = "absence"
        match = {{ event = {{ exists = true }} }}
        fewer_than = {fewer_than}
        within = "30s"
        cooldown = "30s"
        {more}
        """

    def test_fewer_than_two_events_in_half_a_minute_ring(self) -> None:
        """
        ``test_flatline``: ten events, silence, ten events, silence.

        ElastAlert rings when it looks, at 12:00:45, and at each further look.  alertd rings for the
        very time, when the last event but one is half a minute old, and once for each silence.
        """
        rules = self.RULES.format(fewer_than=2, more="")
        log = "\n".join(
            [
                burst("12:00:00", 10, "event=a"),
                "  12:00:11 other=1",
                "! 12:00:38 *",
                "  12:00:45 other=2",
                burst("12:00:50", 10, "event=b"),
                "  12:01:11 other=3",
                "! 12:01:28 *",
                "  12:02:30 other=4",
            ]
        )

        assert log == answered(rules, log)

    def test_events_that_are_only_written_late_were_no_silence(self) -> None:
        """
        ``test_flatline``, where the events of 12:00:30 are read after ElastAlert looked.

        A replay knows what was written and not when, and finds a silence at 12:01:08 alone.  Who
        looks at the clock, as ElastAlert does and alertd's daemon, has rung at 12:00:38, too.
        """
        rules = self.RULES.format(fewer_than=2, more="")
        log = "\n".join(
            [
                burst("12:00:00", 10, "event=a"),
                "  12:00:45 other=1",
                burst("12:00:30", 10, "event=b"),
                "! 12:01:08 *",
                "  12:01:11 other=2",
            ]
        )

        assert log == answered(rules, log)

    def test_no_event_at_all_rings(self) -> None:
        """``test_flatline_no_data``: half a minute after the first sign of life of its source."""
        rules = self.RULES.format(fewer_than=2, more="")
        log = """
              12:00:00 other=1
            ! 12:00:30 *
              12:35:00 other=2
            """

        assert log == answered(rules, log)

    def test_an_event_is_enough_for_as_long_as_the_window_is(self) -> None:
        """``test_flatline_count``: ElastAlert says at 12:00:35 what is so since 12:00:30."""
        rules = self.RULES.format(fewer_than=1, more="")
        log = """
              12:00:00 event=1
              12:00:10 other=1
              12:00:20 other=2
            ! 12:00:30 *
              12:00:35 other=3
            """

        assert log == answered(rules, log)

    def test_each_key_falls_silent_by_itself(self) -> None:
        """
        ``test_flatline_query_key``, and ``test_flatline_forget_query_key``.

        Without ``forget_keys`` ElastAlert rings for each silent key whenever it looks, for ever.
        alertd rings once for a key that falls silent, and then knows it no more: what may never
        come again is not awaited.
        """
        rules = self.RULES.format(fewer_than=1, more='group_by = "event"')
        log = """
              12:00:00 event=key1
              12:00:00 event=key2
              12:00:00 event=key3
              12:00:11 other=1
              12:00:20 event=key3
            ! 12:00:30 * event=key1
            ! 12:00:30 * event=key2
              12:00:45 other=2
            ! 12:00:50 * event=key3
              12:01:20 other=3
              12:10:00 other=4
            """

        assert log == answered(rules, log)

    def test_what_must_come_is_awaited_from_the_begin(self) -> None:
        """
        ElastAlert knows no key that has never come; the keys of ``expect`` are known without.

        Each silence of theirs is told, also the next one.
        """
        rules = self.RULES.format(
            fewer_than=1, more='group_by = "event"\nexpect = ["key1", "key2"]'
        )
        log = """
              12:00:00 event=key1
            ! 12:00:30 * event=key1
            ! 12:00:30 * event=key2
              12:02:00 event=key1
              12:02:10 event=key3
            ! 12:02:30 * event=key1
              12:10:00 other=1
            """

        assert log == answered(rules, log)


class TestCardinality:
    """``cardinality``: how many different values a field has."""

    RULES = """
        [rule.cardinality]
        kind = "distinct"
        distinct = "user"
        more_than = 4
        within = "10m"
        cooldown = "0s"
        """

    def test_more_than_four_different_values_ring(self) -> None:
        """``test_cardinality_max``: a known one does not, nor do others much later."""
        log = """
              12:00:00 user=bea
              12:00:01 user=cid
              12:00:02 user=zoe
              12:00:03 user=lou
              12:00:04 user=cid
            ! 12:00:05 user=fay
              12:15:00 user=ned
              12:15:01 user=rob
              12:15:02 user=eli
            """

        assert log == answered(self.RULES, log)

    def test_too_few_different_values_are_those_that_do_not_come(self) -> None:
        """
        ``test_cardinality_min``: fewer than four users in ten minutes.

        ElastAlert rings at 12:15, because of the last ten minutes' users it knows one.  alertd has
        no smallest number of values; who is awaited is named, and each is told who does not come.
        """
        rules = """
            [rule.users]
            kind = "absence"
            match = { user = { exists = true } }
            group_by = "user"
            expect = ["bea", "cid", "zoe", "lou", "fay"]
            fewer_than = 1
            within = "10m"
            """
        log = """
              12:00:00 user=bea
              12:00:00 user=cid
              12:05:00 user=zoe
              12:05:00 user=lou
              12:05:00 user=fay
            ! 12:10:00 * user=bea
            ! 12:10:00 * user=cid
              12:14:00 user=zoe
            ! 12:15:00 * user=fay
            ! 12:15:00 * user=lou
              12:15:01 user=zoe
            """

        assert log == answered(rules, log)

    def test_each_key_has_values_of_its_own(self) -> None:
        """
        ``test_cardinality_qk``: each value that is one too many rings.

        By default alertd would not repeat itself for 15 minutes.
        """
        rules = """
            [rule.cardinality]
            kind = "distinct"
            distinct = "foo"
            group_by = "user"
            more_than = 2
            within = "10m"
            cooldown = "0s"
            """
        log = """
              12:00:00 user=ana foo=ana1
              12:00:00 user=bob foo=bob1
              12:00:00 user=cid foo=cid1
              12:05:00 user=cid foo=cid2
            ! 12:05:00 user=cid foo=cid3
            ! 12:05:00 user=cid foo=cid4
            """

        assert log == answered(rules, log)
        once = rules.replace('cooldown = "0s"', "")
        log = log.replace("! 12:05:00 user=cid foo=cid4", "  12:05:00 user=cid foo=cid4")
        assert log == answered(once, log)

    def test_a_nested_field_has_a_dotted_name(self) -> None:
        """``test_cardinality_nested_cardinality_field``: a line without it counts for nothing."""
        rules = self.RULES.replace('"user"', '"d.ip"')
        log = """
              12:00:00 {"d": {"ip": "203.0.113.1"}}
              12:00:01 {"d": {"ip": "203.0.113.2"}}
              12:00:02 {"d": {"ip": "203.0.113.3"}}
              12:00:03 {"d": {"ip": "203.0.113.4"}}
              12:00:04 {"d": {"ip": "203.0.113.4"}}
              12:00:05 {"d": {}}
            ! 12:00:06 {"d": {"ip": "203.0.113.5"}}
              12:15:00 {"d": {"ip": "203.0.113.6"}}
              12:15:01 {"d": {"ip": "203.0.113.7"}}
              12:15:02 {"d": {"ip": "203.0.113.8"}}
            """

        assert log == answered(rules, log, format_="json")


class TestMetricAggregation:
    """``metric_aggregation``: a number that is computed of a field's values."""

    AVG = """
        [rule.metric]
        kind = "metric"
        metric = "avg"
        value = "cpu"
        within = "1m"
        cooldown = "0s"
        """

    def test_a_number_beyond_a_bound_rings(self) -> None:
        """``test_metric_aggregation``: the bound itself does not, nor does a line without one."""
        log = """
              12:00:00 host=a
              12:01:00 cpu=0.5
              12:02:00 cpu=0.10
              12:03:00 cpu=0.79
            {low} 12:04:00 cpu=0.09
            {high} 12:05:00 cpu=0.81
              12:06:00 cpu=0.8
            {low} 12:07:00 cpu=0.05
            {high} 12:08:00 cpu=0.95
            """

        high = log.format(high="!", low=" ")
        assert high == answered(f"{self.AVG}\nmore_than = 0.8", high)
        low = log.format(high=" ", low="!")
        assert low == answered(f"{self.AVG}\nless_than = 0.1", low)

    def test_without_a_bound_it_is_refused(self, tmp_path: Path) -> None:
        """``test_metric_aggregation``: a rule that would never ring."""
        with pytest.raises(ConfigError, match=r"more_than: is missing; .* or less_than"):
            load(tmp_path, self.AVG)

    def test_each_group_is_measured_by_itself(self) -> None:
        """``test_metric_aggregation_complex_query_key``, and with percentiles: several fields."""
        rules = f"{self.AVG}\ngroup_by = ['host', 'disk']"
        log = """
            ! 12:00:00 host=a disk=1 cpu=0.91
            ! 12:00:00 host=a disk=2 cpu=0.95
            ! 12:00:00 host=a disk=3 cpu=0.89
            """
        assert log == answered(f"{rules}\nmore_than = 0.8", log)

        log = log.replace("! 12:00:00 host=a disk=3", "  12:00:00 host=a disk=3")
        percentile = rules.replace('"avg"', '"p95"')
        assert log == answered(f"{percentile}\nmore_than = 0.9", log)

    def test_a_group_may_be_a_nested_field(self) -> None:
        """``test_metric_aggregation``, its last part."""
        rules = f"{self.AVG}\nmore_than = 0.8\ngroup_by = 'at.rack.host'"
        log = """
            ! 12:00:00 {"at": {"rack": {"host": "a"}}, "cpu": 0.95}
              12:00:01 {"at": {"rack": {"host": "b"}}, "cpu": 0.5}
            """

        assert log == answered(rules, log, format_="json")

    def test_each_minute_is_measured_by_itself(self) -> None:
        """
        ``test_metric_aggregation_complex_query_key_bucket_interval``.

        ElastAlert cuts its minutes out of the clock; alertd's minute slides (in 120 steps), and
        values a minute apart are never in one.
        """
        rules = f"{self.AVG}\nmore_than = 0.8"
        log = """
            ! 12:00:00 cpu=0.91
            ! 12:01:00 cpu=0.89
              12:02:00 cpu=0.78
            ! 12:03:00 cpu=0.85
            ! 12:04:00 cpu=0.86
            """

        assert log == answered(rules, log)

    def test_a_minute_of_the_clock_hides_what_a_sliding_one_sees(self) -> None:
        """
        ``bucket_interval`` again, with high values on both sides of a full minute.

        ElastAlert averages 12:00 and 12:01 to 0.5 each, and says nothing.  alertd does at 12:01:15:
        the average of the minute before is 0.9.
        """
        rules = f"{self.AVG}\nmore_than = 0.8"
        log = """
              12:00:10 cpu=0.1
              12:00:50 cpu=0.9
            ! 12:01:15 cpu=0.9
              12:01:45 cpu=0.1
            """

        assert log == answered(rules, log)

    def test_a_number_that_the_line_has_rings_below_nothing(self) -> None:
        """
        ``test_metric_aggregation_scripted``.

        ElastAlert may compute the number by a script, as the difference of two fields.  alertd runs
        nobody's code on a line: who writes the log writes the difference.
        """
        rules = f"{self.AVG}\nless_than = 0"
        log = """
              12:00:00 cpu=0.5
            ! 12:05:00 cpu=-0.5
            """

        assert log == answered(rules, log)


class TestPercentageMatch:
    """``percentage_match``: the share of the events for which a filter holds."""

    MOST = """
        [rule.most]
        kind = "ratio"
        match = { term = "x" }
        more_than = "75%"
        min_total = 100
        within = "5m"
        """
    FEWEST = """
        [rule.fewest]
        kind = "ratio"
        match = { term = { not = "x" } }
        more_than = "75%"
        min_total = 100
        within = "5m"
        """

    @pytest.mark.parametrize(
        ("matching", "others", "is_most", "is_fewest"),
        [
            (0, 0, False, False),
            (26, 74, False, False),
            (74, 26, False, False),
            (25, 75, False, False),
            (75, 25, False, False),
            (24, 76, False, True),
            (76, 24, True, False),
            (249, 751, False, True),
            (751, 249, True, False),
        ],
    )
    def test_a_share_above_or_below_a_bound_rings(
        self, matching: int, others: int, *, is_most: bool, is_fewest: bool
    ) -> None:
        """
        ``test_percentage_match``: between 25 % and 75 % nothing rings, the bounds included.

        alertd's ``ratio`` knows a greatest share only; that fewer than 25 % match is that more than
        75 % do not.  It looks at the share at each line that counts as a hit, not once in a while,
        so that ``min_total`` says from how many lines on a share means something.
        """
        shuffled = ["term=y"] * others + ["term=x"] * matching
        log = "".join(f"2026-03-01T12:00:00Z {line}\n" for line in shuffled)
        assert is_most == bool(ask(self.MOST, log))

        shuffled = ["term=x"] * matching + ["term=y"] * others
        log = "".join(f"2026-03-01T12:00:00Z {line}\n" for line in shuffled)
        assert is_fewest == bool(ask(self.FEWEST, log))

    def test_none_of_many_is_too_few(self) -> None:
        """
        ``test_percentage_match`` with nothing in the matching bucket.

        ElastAlert says nothing if Elasticsearch gives it no count for that bucket, though of 100
        events none is fewer than a quarter.  alertd says so.
        """
        log = burst("12:00:00", 100, "term=y", rings=[100])

        assert log == answered(self.FEWEST, log)

    def test_the_share_is_told(self) -> None:
        """``test_percentage_match``: 23 of 30, with the digits that tell it from 75 %."""
        rules = self.MOST.replace("100", "30")
        log = "".join(
            f"2026-03-01T12:00:00Z term={'y' if number < 7 else 'x'}\n" for number in range(30)
        )

        (alert,) = ask(rules, log)

        assert "23 of 30 lines, 76.67 %; the limit is 75 % in 5 minutes." == Ratio.measure(alert)

    def test_each_group_has_a_share_of_its_own(self) -> None:
        """``test_percentage_match`` with a ``query_key``, nested or not."""
        rules = f"{self.MOST.replace('100', '4')}\ngroup_by = 'at.host'"
        log = """
              12:00:00 {"at": {"host": "a"}, "term": "x"}
              12:00:00 {"at": {"host": "b"}, "term": "x"}
              12:00:00 {"at": {"host": "a"}, "term": "x"}
              12:00:00 {"at": {"host": "b"}, "term": "y"}
              12:00:00 {"at": {"host": "a"}, "term": "x"}
              12:00:00 {"at": {"host": "b"}, "term": "x"}
            ! 12:00:00 {"at": {"host": "a"}, "term": "x"}
              12:00:00 {"at": {"host": "b"}, "term": "x"}
            """

        assert log == answered(rules, log, format_="json")
