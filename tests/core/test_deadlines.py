"""Which key's time is up next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from alertd.core.deadlines import NEVER, Deadlines

if TYPE_CHECKING:
    from alertd.core.deadlines import Key


def test_without_keys_nothing_is_due() -> None:
    """Nobody waits."""
    deadlines = Deadlines(lambda _: NEVER)

    assert NEVER == deadlines.due


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, NEVER])),
        max_size=60,
    )
)
def test_the_first_is_the_earliest_and_of_equal_ones_the_least(
    changes: list[tuple[str, float]],
) -> None:
    """However often deadlines move, to earlier, to later, or away."""
    actual: dict[Key, float] = {}
    deadlines = Deadlines(lambda key: actual.get(key, NEVER))
    for name, deadline in changes:
        actual[name,] = deadline
        deadlines.note((name,))

        earliest = min(actual.values())
        assert deadlines.due <= earliest
        deadlines.settle()
        assert earliest == deadlines.due
        if earliest != NEVER:
            assert min(key for key in actual if actual[key] == earliest) == deadlines.first()


def test_what_is_forgotten_or_brought_forward_does_not_pile_up() -> None:
    """A flood of keys that are forgotten before their time takes no memory but theirs."""
    actual: dict[Key, float] = {("first",): 0.5}
    deadlines = Deadlines(lambda key: actual.get(key, NEVER))
    deadlines.note(("first",))
    for number in range(10_000):
        actual[f"{number}",] = 1e6 - number
        actual.pop((f"{number - 100}",), None)
        deadlines.note((f"{number}",))

    assert 0.5 == deadlines.due
    assert len(deadlines._heap) <= 101 * 1.25 + 16
    assert len(deadlines._queued) <= 101 * 1.25 + 16
