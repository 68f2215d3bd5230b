"""
alertd and its peers, each given the same case in its own way.

None of the peers does the whole job: counters count lines, and what raises alerts goes by the time
of arrival (SEC) or by silence (syslog-ng), so on a backlog their alerts differ from the right ones.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from benchmarks.cases import COOLDOWN, MORE_THAN, WITHIN, Answer, answer_of_reference
from benchmarks.footprint import memory
from benchmarks.processes import LONGEST, timed
from living import alertd, mailbox, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.cases import Alert, Case

EMAIL = """\
[email]
host = "127.0.0.1"
security = "none"
sender = "alertd <alerts@example.com>"
recipients = ["ops@example.com"]
"""
ID = re.compile("[0-9a-f]{20}")
# syslog-ng never ends by itself: it writes down a line with this text when it comes to it.
END = "END-OF-LOG"


@dataclass(frozen=True)
class Measured:
    """
    One run of a tool.

    Attributes:
        seconds: What it took, from its start to its answer.
        peak_mib: Its memory at the highest.
        answer: What it found.
        start: How many of the seconds had passed when it began to read, where that is known.
    """

    seconds: float
    peak_mib: float
    answer: Answer
    start: float | None = None


@dataclass(frozen=True)
class Tool:
    """
    Something that goes through logs.

    Attributes:
        name: As the table shows it.
        program: What must be installed.
        run: Takes a case and an empty directory.
        suits: Whether it can be given a case at all.
        is_slow: It gets only as many lines as it can read in about a second.
    """

    name: str
    program: str
    run: Callable[[Case, Path], Measured]
    suits: Callable[[Case], bool]
    is_slow: bool

    @property
    def is_installed(self) -> bool:
        """Whether it is there."""
        return shutil.which(self.program) is not None


def replay(case: Case, directory: Path) -> Measured:
    """Run ``alertd replay``."""
    config = directory / "alertd.toml"
    config.write_text(
        f'{EMAIL}[state]\ndirectory = "{directory}"\n{case.configuration()}', encoding="ascii"
    )
    program, clock = Path(__file__).with_name("clocked.py"), directory / "clock"
    done = timed(
        [sys.executable, program, clock, "replay", "--json", "--config", config], directory
    )
    raised = [json.loads(line) for line in done.output.splitlines()]
    alerts: Counter[Alert] = Counter(
        (
            alert["rule"],
            *alert["key"].values(),
            # What rings because time is up has no line.
            Path(alert.get("path", "")).name,
            alert.get("offset", -1),
        )
        for alert in raised
    )
    (directory / "ids").write_text("\n".join(sorted(alert["id"] for alert in raised)))
    start = done.seconds - float(clock.read_text())
    return Measured(done.seconds, done.peak_mib, Answer(alerts=alerts), start)


def live(case: Case, directory: Path) -> Measured:
    """
    Run ``alertd run`` until it has caught up.

    It begins to read when it says that it is ready; that it has caught up is seen up to a hundredth
    of a second late.  Its answer is what its mails say, which are not waited for in the time.
    """
    sizes = {str(path): path.stat().st_size for path in case.files}

    def has_caught_up(status: dict[str, Any]) -> bool:
        files = {file["path"]: file["offset"] for file in status["sources"]["log"]["files"]}
        return bool(status["is_caught_up"] and files == sizes)

    with (
        mailbox() as box,
        alertd(directory, case.configuration(), box.port, "max_per_hour = 0") as daemon,
    ):
        started = time.perf_counter()
        daemon.start()
        start = time.perf_counter() - started
        daemon.wait_until("caught up", has_caught_up, within=300)
        seconds = time.perf_counter() - started
        peak = memory(daemon.pid, "VmHWM")
        daemon.wait_until("mailed", lambda status: status["outbox"]["pending"] == 0)
        texts = [text_of(mail) for mail in box.mails]
        daemon.stop()
    ids = {word for text in texts for word in text.split() if ID.fullmatch(word)}
    return Measured(seconds, peak, _answer_by_ids(case, ids), start)


def _answer_by_ids(case: Case, ids: set[str]) -> Answer:
    """Give the alerts with these ids: a replay's, when they are exactly those."""
    with tempfile.TemporaryDirectory() as directory:
        answer = replay(case, Path(directory)).answer
        known = set((Path(directory) / "ids").read_text().split())
    if ids == known:
        return answer
    return Answer(alerts=Counter({("?", id_): 1 for id_ in ids}))


def plain_python(case: Case, directory: Path) -> Measured:
    """Run every regex on every line."""
    program = Path(__file__).with_name("reference.py")
    done = timed([sys.executable, program, "loop"], directory, given=case.job().encode())
    return Measured(done.seconds, done.peak_mib, answer_of_reference(done.output))


def _unnamed(pattern: str) -> str:
    return re.sub(r"\(\?P<\w+>", "(", pattern)


def _extended(pattern: str) -> str:
    """Write a pattern as POSIX's grep reads it, which is faster than as Perl's."""
    return _unnamed(pattern).replace(r"\d", "[0-9]").replace(r"\S", "[^ ]")


def counter(*command: str) -> Callable[[Case, Path], Measured]:
    """Return what runs a program that counts the lines which match any pattern of a file."""

    def run(case: Case, directory: Path) -> Measured:
        patterns = directory / "patterns"
        spell = _unnamed if command[0] == "rg" else _extended
        patterns.write_text("".join(f"{spell(pattern)}\n" for pattern in case.patterns))
        given = ["-f", patterns] if len(case.rules) > 1 else ["-e", spell(case.patterns[0])]
        return _counted([*command, *given, case.log], directory)

    return run


def rg_one(case: Case, directory: Path) -> Measured:
    """Look for the first pattern alone."""
    done = timed(["rg", "-c", "-e", _unnamed(case.patterns[0]), case.log], directory)
    return Measured(done.seconds, done.peak_mib, Answer())


def _counted(command: list[str | Path], directory: Path) -> Measured:
    done = timed(command, directory)
    lines = sum(int(line.rsplit(b":", 1)[-1]) for line in done.output.splitlines())
    return Measured(done.seconds, done.peak_mib, Answer(lines=lines))


def sec(case: Case, directory: Path) -> Measured:
    """Run SEC, whose windows slide, by the time of arrival."""
    alerts = directory / "alerts"
    alerts.touch()
    rules = "\n\n".join(
        f"type=SingleWithThreshold\nptype=RegExp\npattern={_unnamed(rule.regex)}\n"
        f"context=!quiet_{rule.name}_$1\ndesc={rule.name} $1\n"
        f"action=write {alerts} {rule.name} $1; create quiet_{rule.name}_$1 {COOLDOWN}\n"
        f"window={WITHIN}\nthresh={MORE_THAN + 1}"
        for rule in case.rules
    )
    (directory / "rules.sec").write_text(rules + "\n")
    done = timed(
        [
            "sec",
            f"--conf={directory / 'rules.sec'}",
            f"--input={case.log}",
            f"--log={directory / 'log'}",
            "--notail",
            "--fromstart",
            "--debug=1",
        ],
        directory,
    )
    return Measured(done.seconds, done.peak_mib, Answer(alerts=_pairs(alerts)))


def mtail(case: Case, directory: Path) -> Measured:
    """Run mtail, which counts by rule and key."""
    rules = "".join(
        f'/{rule.regex}/ {{\n  hits["{rule.name}"][${case.key}]++\n}}\n' for rule in case.rules
    )
    (directory / "rules.mtail").write_text(f"counter hits by rule, key\n{rules}")
    done = timed(
        [
            *("mtail", "-one_shot", "-progs", directory / "rules.mtail", "-logs", case.log),
            *("-log_dir", directory, "-max_recursion_depth", "10000"),
            *("-address", "127.0.0.1", "-port", "0"),
        ],
        directory,
    )
    text = done.output[done.output.index(b"{") : done.output.rindex(b"}") + 1]
    values = json.loads(text)["hits"][0].get("LabelValues") or []
    lines = sum(value["Value"]["Value"] for value in values)
    return Measured(done.seconds, done.peak_mib, Answer(lines=lines))


def fail2ban(case: Case, directory: Path) -> Measured:
    """Run fail2ban-regex, which reads times and keys, and counts lines."""
    filters = directory / "rules.conf"
    patterns = "\n    ".join(
        re.sub(r"\(\?P<\w+>(.*?)\)", r"<F-ID>\1</F-ID>", pattern) for pattern in case.patterns
    )
    filters.write_text(f"[Definition]\nfailregex = {patterns}\n")
    done = timed(["fail2ban-regex", case.log, filters], directory)
    found = re.search(rb"(\d+) matched", done.output)
    return Measured(done.seconds, done.peak_mib, Answer(lines=int(found[1]) if found else 0))


SYSLOG_NG = """\
@version: 3.38
options { keep-hostname(yes); use-dns(no); stats-freq(0); keep-timestamp(yes); };
source all { file("$log" follow-freq(0.01) log-fetch-limit(1000) log-iw-size(10000)); };
filter failed { message("Failed password for" type(string) flags(substring)); };
filter ended { message("$end" type(string) flags(substring)); };
parser address { regexp-parser(patterns("from (?<KEY>[0-9.]+) port [0-9]+ ssh2")); };
rewrite by_address { set("$${KEY}" value("PROGRAM")); };
parser windows { db-parser(file("$directory/windows.xml") inject-mode("pass-through")); };
filter alert { tags("alert"); };
destination alerts { file("$directory/alerts" template("ssh $${KEY}\\n") flush-lines(1)); };
destination end { file("$directory/end" flush-lines(1)); };
log { source(all); filter(failed); parser(address); rewrite(by_address); parser(windows);
      filter(alert); destination(alerts); };
log { source(all); filter(ended); destination(end); };
"""
PATTERNDB = """\
<patterndb version='4' pub_date='2026-01-05'><ruleset name='ssh' id='ssh'><rules>
<rule id='ssh' class='system' provider='benchmark' context-id='$${KEY}'
      context-timeout='$within' context-scope='program'>
<patterns><pattern>Failed password for @ANYSTRING:rest@</pattern></patterns>
<actions><action rate='1/$cooldown' trigger='match'
                 condition='"$$(context-length)" &gt; "$more_than"'>
<message inherit-properties='TRUE'><tags><tag>alert</tag></tags></message></action></actions>
</rule></rules></ruleset></patterndb>
"""


def syslog_ng(case: Case, directory: Path) -> Measured:
    """Run syslog-ng's patterndb, whose windows end with silence."""
    log, end, alerts = directory / "log", directory / "end", directory / "alerts"
    shutil.copyfile(case.log, log)
    with log.open("a") as file:
        file.write(f"Jan  6 00:00:00 bastion app: {END}\n")
    alerts.touch()
    values = {"log": log, "end": END, "directory": directory}
    (directory / "conf").write_text(Template(SYSLOG_NG).substitute(values))
    limits = {"within": WITHIN, "cooldown": COOLDOWN, "more_than": MORE_THAN}
    (directory / "windows.xml").write_text(Template(PATTERNDB).substitute(limits))
    own = [f"--{name}={directory / name}" for name in ("persist-file", "pidfile", "control")]
    command = ["syslog-ng", "--foreground", "--no-caps", f"--cfgfile={directory / 'conf'}", *own]
    started = time.perf_counter()
    with (directory / "said").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        while not end.exists():
            if process.poll() is not None or time.perf_counter() - started > LONGEST:
                raise RuntimeError(f"syslog-ng: {(directory / 'said').read_text()}")
            time.sleep(0.005)
        seconds = time.perf_counter() - started
        peak = memory(process.pid, "VmHWM")
    finally:
        process.terminate()
        process.wait()
    return Measured(seconds, peak, Answer(alerts=_pairs(alerts)))


def _pairs(path: Path) -> Counter[tuple[str, str]]:
    """Read lines of a rule and a key each."""
    words = (line.split() for line in path.read_text().splitlines())
    return Counter((rule, key) for rule, key in words)


def _is_any(case: Case) -> bool:
    del case
    return True


def _has_many(case: Case) -> bool:
    return len(case.rules) > 1


def _is_plain_file(case: Case) -> bool:
    return case.format == "plain" and not case.log.is_dir()


def _is_ssh(case: Case) -> bool:
    return case.rules[0].name == "ssh"


LARGE_DFA = ("--dfa-size-limit=1G", "--regex-size-limit=1G")
REPLAY = Tool("alertd replay", sys.executable, replay, _is_any, is_slow=False)
LIVE = Tool("alertd run", sys.executable, live, _is_any, is_slow=False)
# What ratios are made with: ripgrep, given all patterns and all the memory that it wants.
BASE = Tool("rg -c", "rg", counter("rg", "-c", *LARGE_DFA), _is_any, is_slow=False)
OTHERS = (
    Tool("rg -c, defaults", "rg", counter("rg", "-c"), _has_many, is_slow=False),
    Tool("rg -c, 1 pattern", "rg", rg_one, _has_many, is_slow=False),
    Tool("grep -c -E", "grep", counter("grep", "-c", "-E"), _is_any, is_slow=True),
    Tool("plain Python, re", sys.executable, plain_python, _is_any, is_slow=True),
    Tool("syslog-ng", "syslog-ng", syslog_ng, _is_ssh, is_slow=True),
    Tool("SEC", "sec", sec, _is_plain_file, is_slow=True),
    Tool("mtail", "mtail", mtail, _is_plain_file, is_slow=True),
    Tool("fail2ban-regex", "fail2ban-regex", fail2ban, _is_plain_file, is_slow=True),
)
