"""Who is told of what doubles find: the test runner if there is one, else who goes on."""

from __future__ import annotations

from collections.abc import Sequence

from aldente._records import Finding, receivers
from aldente.errors import DoubleMisused


def has_receiver() -> bool:
    """Whether there is a test runner that is told of findings."""
    return bool(receivers)


def tell(findings: Sequence[Finding], error: BaseException | None) -> None:
    """Hand over findings; or raise them, unless an error is on its way, which takes them along.

    Raises:
        DoubleMisused: there is something to tell, and no receiver.
    """
    if not findings:
        return
    if receivers:
        for finding in findings:
            receivers[-1](finding)
        return
    misuse = DoubleMisused([_in_words(finding) for finding in findings])
    if error is None:
        raise misuse
    error.add_note(str(misuse))


def _in_words(finding: Finding) -> str:
    place = f" ({finding.place})" if finding.place is not None else ""
    lines = [f"{finding.rule}: {finding.what}{place}", *finding.details, f"Mend: {finding.mend}"]
    return "\n".join(lines)
