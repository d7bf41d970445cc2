"""What can go wrong between an agent and a decision.

An exception means that no decision was made, or that it is not known here which. A deny is a value, and raised only by
a function that is guarded. No secret stands in any of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attorn_agent.decisions import Approval, Challenge, Decision, Reason, Requirement


class AttornError(Exception):
    """No decision was made, or it is not known here which."""


class UrlError(AttornError):
    """The URL cannot be the server's."""


class UnsendableError(AttornError):
    """Something would be put into a URL or a header that does not belong there."""

    def __init__(self, what: str, value: str) -> None:
        super().__init__(f"the {what} `{shown(value, 64)}` cannot be sent")


class JsonError(AttornError):
    """Arguments or claims that no two readers would have to read alike."""


class KeyFileError(AttornError):
    """A key cannot be made, kept or read."""


class ConnectionFailed(AttornError):
    """The server could not be reached, did not answer in time, or the connection broke.

    Whether a decision was made is not known; with an idempotency key it is safe to ask again.
    """


class AnswerError(AttornError):
    """The answer is none that this version understands."""

    def __init__(self, status: int, problem: str) -> None:
        self.status = status
        self.problem = problem
        super().__init__(f"the server's answer ({status}) cannot be understood: {problem}")


class Problem(AttornError):
    """The server refused. `code` is stable.

    Of a request that goes on to a service, `denied` and `approval_needed` were decided, and say why, who has to
    approve, and which approval is waited for.
    """

    def __init__(
        self,
        code: str,
        status: int,
        detail: str,
        *,
        help: str | None = None,  # noqa: A002 - the word of the API
        request_id: str | None = None,
        decision_id: str | None = None,
        reasons: tuple[Reason, ...] = (),
        approvers: tuple[Requirement, ...] = (),
        approval: Approval | None = None,
    ) -> None:
        self.code = code
        self.status = status
        self.detail = detail
        self.help = help
        self.request_id = request_id
        self.decision_id = decision_id
        self.reasons = reasons
        self.approvers = approvers
        self.approval = approval
        text = f"{shown(detail, 1024)} ({code})"
        super().__init__(f"{text}\nhelp: {shown(help, 1024)}" if help else text)


class ReceiptError(AttornError):
    """The receipt, or the key of the log, proves nothing."""


class NotAllowed(Exception):
    """A guarded function was not run: it was decided, and the decision is no allow."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        codes = ", ".join(reason.code for reason in decision.decided.reasons)
        super().__init__(f"it was decided against ({codes}), in `{decision.decided.decision_id}`")


class ApprovalNeeded(NotAllowed):
    """A guarded function was not run: somebody has to approve, and has not within the time."""

    decision: Challenge


def shown(text: str, characters_max: int) -> str:
    """A text of somebody else's, short, and with nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:characters_max])
