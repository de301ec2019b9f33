"""Errors that are shown to the user.

A `UserError` carries a message that names the thing that is wrong and the way out; the command line prints it without
a traceback. Anything else that is raised is a bug.
"""

from collections.abc import Sequence

from fa_assets.printable import printable


class UserError(Exception):
    """Something the user can fix: the message says what is wrong and what to do.

    `transient` is true of a class of errors that may be gone a while later without anyone fixing anything, such as a server
    that does not answer: an asset that meets one is tried again.
    """

    transient = False


class BadInputError(UserError):
    """Input that was refused, with every offender named.

    Args:
        summary: one sentence: what is wrong and the way out.
        offenders: one line for each thing that is wrong, e.g. ``"a.wav: not an audio file"``.
    """

    SHOWN = 200

    def __init__(self, summary: str, offenders: Sequence[str] = ()) -> None:
        self.summary = summary
        self.offenders = tuple(offenders)
        lines = [summary, *(f"  - {printable(offender)}" for offender in self.offenders[: self.SHOWN])]
        if len(self.offenders) > self.SHOWN:
            lines.append(f"  ... and {len(self.offenders) - self.SHOWN} more")
        super().__init__("\n".join(lines))


class BadClipError(UserError):
    """A clip that cannot be used; the message is the reason, without the clip's name."""


def one_line(error: BaseException, most: int | None = 200) -> str:
    """What an error of some library says, on one line of at most so many characters; its type where it says nothing."""
    return (" ".join(str(error).split()) or type(error).__name__)[:most]
