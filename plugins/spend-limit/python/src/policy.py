"""The policy `spend-limit` in Python.

What an agent spends is allowed up to one limit, up to a second with an approval, and denied beyond. See the README above.
"""

from attorn_policy import (
    Context,
    CounterDeclaration,
    Requirements,
    Scope,
    Verdict,
    Window,
    allow,
    challenge,
    define_policy,
    deny,
    parse_amount,
    public_reason,
)

from settings import Settings

WITHIN_LIMIT = public_reason("within_limit", "what is spent stays within what is allowed without an approval")
ABOVE_LIMIT = public_reason("above_limit", "what is spent passes what is allowed without an approval")
OVER_LIMIT = public_reason("over_limit", "what is spent passes what is allowed at all")
NO_USER = public_reason("no_user", "this is only for agents that act for a user")
AMOUNT_MISSING = public_reason("amount_missing", "the arguments do not have the amount")
AMOUNT_INVALID = public_reason(
    "amount_invalid", "the amount is no whole number of minor units, 1 or more, as a safe integer or a string of digits"
)
CURRENCY_MISSING = public_reason("currency_missing", "the arguments do not have the currency")
OTHER_CURRENCY = public_reason("other_currency", "the limit is in another currency")

REASONS = [
    WITHIN_LIMIT,
    ABOVE_LIMIT,
    OVER_LIMIT,
    NO_USER,
    AMOUNT_MISSING,
    AMOUNT_INVALID,
    CURRENCY_MISSING,
    OTHER_CURRENCY,
]


def requirements(settings: Settings) -> Requirements:
    """The one counter."""
    counter = CounterDeclaration(
        name=settings.counter,
        unit=f"{settings.currency} minor units",
        scope=Scope[settings.scope.upper()],
        window=Window[settings.window.upper()],
    )
    return Requirements(counters=[counter])


@define_policy(name="spend-limit", version="0.1.0", settings=Settings, reasons=REASONS, requirements=requirements)
def decide(context: Context, settings: Settings) -> Verdict:
    """Say what comes of one request."""
    if settings.scope != "agent" and context.user is None:
        return deny(NO_USER)
    # Whatever else there is in the arguments is not this policy's business.
    given = context.arguments()
    if settings.amount_argument not in given:
        return deny(AMOUNT_MISSING)
    amount = parse_amount(given[settings.amount_argument])
    if amount is None:
        return deny(AMOUNT_INVALID)
    if settings.currency_argument not in given:
        return deny(CURRENCY_MISSING)
    if given[settings.currency_argument] != settings.currency:
        return deny(OTHER_CURRENCY)
    return limit(settings, context.counter(settings.counter).used, amount)


def limit(settings: Settings, used: int, amount: int) -> Verdict:
    """What is said of `amount` more, where `used` was spent in this window before.

    Each debit names the limit that it was held against: should others spend meanwhile, the host adds up to that and no
    further, and asks again. Whole numbers have no end here, so no sum wraps around.
    """
    total = used + amount
    if total <= settings.allow_max:
        return allow().because(WITHIN_LIMIT).debit(settings.counter, amount, settings.allow_max)
    asked = settings.challenge
    if asked is None or total > asked.max:
        return deny(OVER_LIMIT)
    return challenge(ABOVE_LIMIT).approved_by(asked.role, asked.count).debit(settings.counter, amount, asked.max)
