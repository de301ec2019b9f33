"""Batches that come back in any order are given to whoever asked for them. Nothing here needs Ray."""

from collections.abc import Iterable

from fa_assets.engines.stream import Results, Stream
from fa_assets.engines.workers import Embedded


def came(numbers: Iterable[int], seen: list[int]) -> Results:
    """Batches that come back in this order; each notes that it did, and -1 says that nobody waits for the rest."""
    try:
        for number in numbers:
            seen.append(number)
            yield Embedded(number, [], [], None, "node", 1, None, None)
    except GeneratorExit:
        seen.append(-1)
        raise


def taken(stream: Stream, *numbers: int) -> list[int]:
    return [done.number for done in stream.take(numbers)]


def test_what_comes_early_is_kept_until_it_is_asked_for_and_nothing_is_waited_for_that_nobody_wants_yet() -> None:
    stream, seen = Stream(), list[int]()
    stream.send(came([2, 0, 3, 1, 4, 5], seen))
    assert taken(stream, 0, 1) == [0, 1]
    assert seen == [2, 0, 3, 1]
    assert taken(stream, 2, 3, 4) == [2, 3, 4]
    assert seen == [2, 0, 3, 1, 4]


def test_a_lost_batch_is_missing_and_those_of_others_are_kept_beyond_its_second_try() -> None:
    stream, seen = Stream(), list[int]()
    stream.send(came([0, 2, 3], seen))
    assert taken(stream, 0, 1) == [0]
    stream.send(came([1], seen))
    assert taken(stream, 1) == [1]
    assert taken(stream, 2, 3) == [2, 3]
    assert seen == [0, 2, 3, 1]


def test_new_batches_start_when_all_before_them_are_back() -> None:
    stream, seen = Stream(), list[int]()
    stream.send(came([0, 1], seen))
    assert taken(stream, 0) == [0]
    stream.send(came([2], seen))
    assert seen == [0, 1]
    assert taken(stream, 2) == [2]
    assert taken(stream, 1) == [1]


def test_a_stream_that_is_given_up_ends_what_makes_it() -> None:
    stream, seen = Stream(), list[int]()
    stream.send(came([0, 1], seen))
    assert taken(stream, 0) == [0]
    stream.close()
    assert seen == [0, -1]
    assert taken(stream, 1) == []
    assert taken(Stream(), 1) == []
