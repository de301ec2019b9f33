"""Batches on their way through a cluster, which come back in any order."""

from collections.abc import Collection, Generator, Iterator

from fa_assets.engines.workers import Embedded

Results = Generator[Embedded, None, None]
"""Each batch once, as it comes back; those that were lost never."""


class Stream:
    """Gives the batches that are asked for, and keeps others that come before them until they are."""

    def __init__(self) -> None:
        self._results: Results | None = None
        self._kept: dict[int, Embedded] = {}

    def send(self, results: Results) -> None:
        """More batches; they start when all before them have come back, since two lots would wait for each other's actors."""
        self.wait()
        self._results = results

    def take(self, numbers: Collection[int]) -> Iterator[Embedded]:
        """These batches, as they come back. That one is lost is known when all others are back: it is not among them."""
        left = set(numbers)
        while left:
            ready = left & self._kept.keys()
            for number in ready:
                yield self._kept.pop(number)
            left -= ready
            if left and not self._next():
                return

    def wait(self) -> None:
        """Until all are back."""
        while self._next():
            pass

    def close(self) -> None:
        """Give up those that are on their way."""
        if self._results is not None:
            self._results.close()

    def _next(self) -> bool:
        done = next(self._results, None) if self._results is not None else None
        if done is not None:
            self._kept[done.number] = done
        return done is not None
