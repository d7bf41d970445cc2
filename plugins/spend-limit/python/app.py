"""The policy `spend-limit` in Python, against nothing but the contract. See the README above."""

import json

from componentize_py_types import Err
from wit_world.exports import policy as contract
from wit_world.exports.policy import (
    Allow,
    ApprovalRequirement,
    Challenge,
    CounterDeclaration,
    Debit,
    Description,
    Reason,
    ReasonDeclaration,
    Requirements,
    Terms,
    Verdict_Allow,
    Verdict_Challenge,
    Verdict_Deny,
)

# Everything is imported here: there are no files in a sandbox to import from later.
import settings as own
from amount import parse_amount
from schema import SCHEMA

REASONS = {
    "within_limit": "what is spent stays within what is allowed without an approval",
    "above_limit": "what is spent passes what is allowed without an approval",
    "over_limit": "what is spent passes what is allowed at all",
    "no_user": "this is only for agents that act for a user",
    "amount_missing": "the arguments do not have the amount",
    "amount_invalid": "the amount is no whole number of minor units, 1 or more, as a safe integer or a string of digits",
    "currency_missing": "the arguments do not have the currency",
    "other_currency": "the limit is in another currency",
}

kept = None


class Policy:
    """What the host calls. Every exception becomes an error of the contract: others would trap."""

    def describe(self) -> Description:
        return Description(name="spend-limit", version="0.1.0", settings_schema=SCHEMA)

    def init(self, settings: str) -> Requirements:
        global kept
        try:
            kept = own.parse(settings)
        except Exception as error:
            raise Err(str(error)) from error
        reasons = [ReasonDeclaration(code=code, text=text, public=True) for code, text in REASONS.items()]
        counter = CounterDeclaration(
            name=kept.counter,
            unit=f"{kept.currency} minor units",
            scope=contract.Scope[kept.scope.upper()],
            window=contract.Window[kept.window.upper()],
        )
        return Requirements(facts=[], reasons=reasons, counters=[counter])

    def evaluate(self, ctx: contract.Context) -> contract.Verdict:
        if kept is None:
            raise Err("evaluate was called before init")
        try:
            return evaluate(kept, ctx)
        except Exception as error:
            raise Err(str(error)) from error


def evaluate(settings: own.Settings, ctx: contract.Context) -> contract.Verdict:
    if settings.scope != "agent" and ctx.user is None:
        return deny("no_user")
    arguments = json.loads(ctx.request.arguments)
    if not isinstance(arguments, dict):
        raise ValueError("arguments: they are no object")
    if settings.amount_argument not in arguments:
        return deny("amount_missing")
    amount = parse_amount(arguments[settings.amount_argument])
    if amount is None:
        return deny("amount_invalid")
    if settings.currency_argument not in arguments:
        return deny("currency_missing")
    if arguments[settings.currency_argument] != settings.currency:
        return deny("other_currency")
    used = next(counter.used for counter in ctx.counters if counter.name == settings.counter)
    return limit(settings, used, amount)


def limit(settings: own.Settings, used: int, amount: int) -> contract.Verdict:
    # Whole numbers have no end here, so no sum wraps around.
    total = used + amount
    if total <= settings.allow_max:
        return Verdict_Allow(Allow(terms=debit(settings, amount, settings.allow_max), reasons=[reason("within_limit")]))
    challenge = settings.challenge
    if challenge is None or total > challenge.max:
        return deny("over_limit")
    return Verdict_Challenge(
        Challenge(
            approvers=[ApprovalRequirement(role=challenge.role, count=challenge.count)],
            terms=debit(settings, amount, challenge.max),
            reason=reason("above_limit"),
        )
    )


def debit(settings: own.Settings, amount: int, at_most: int) -> Terms:
    debits = [Debit(counter=settings.counter, amount=amount, at_most=at_most)]
    return Terms(grant_ms_max=None, uses_max=None, debits=debits, obligations=[])


def deny(code: str) -> contract.Verdict:
    return Verdict_Deny([reason(code)])


def reason(code: str) -> Reason:
    return Reason(code=code, text=REASONS[code])
