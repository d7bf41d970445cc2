// The policy `spend-limit` in C: what an agent spends is allowed up to one limit, up to a second with an approval, and
// denied beyond. See the README above.

#include "settings.h"

static const attorn_reason WITHIN_LIMIT =
    ATTORN_PUBLIC_REASON("within_limit", "what is spent stays within what is allowed without an approval");
static const attorn_reason ABOVE_LIMIT =
    ATTORN_PUBLIC_REASON("above_limit", "what is spent passes what is allowed without an approval");
static const attorn_reason OVER_LIMIT =
    ATTORN_PUBLIC_REASON("over_limit", "what is spent passes what is allowed at all");
static const attorn_reason NO_USER =
    ATTORN_PUBLIC_REASON("no_user", "this is only for agents that act for a user");
static const attorn_reason AMOUNT_MISSING =
    ATTORN_PUBLIC_REASON("amount_missing", "the arguments do not have the amount");
static const attorn_reason AMOUNT_INVALID = ATTORN_PUBLIC_REASON(
    "amount_invalid",
    "the amount is no whole number of minor units, 1 or more, as a safe integer or a string of digits");
static const attorn_reason CURRENCY_MISSING =
    ATTORN_PUBLIC_REASON("currency_missing", "the arguments do not have the currency");
static const attorn_reason OTHER_CURRENCY =
    ATTORN_PUBLIC_REASON("other_currency", "the limit is in another currency");

static const attorn_reason *const REASONS[] = {
    &WITHIN_LIMIT,   &ABOVE_LIMIT,    &OVER_LIMIT,       &NO_USER,
    &AMOUNT_MISSING, &AMOUNT_INVALID, &CURRENCY_MISSING, &OTHER_CURRENCY, NULL,
};

// What is said of `amount` more, where `used` was spent in this window before. Each debit names the limit that it was held
// against: should others spend meanwhile, the host adds up to that and no further, and asks again.
static attorn_verdict limit(const struct settings *s, uint64_t used, uint64_t amount) {
    uint64_t total;
    // A sum that cannot be counted is over any limit.
    if (__builtin_add_overflow(used, amount, &total)) {
        return attorn_deny(&OVER_LIMIT);
    }
    if (total <= (uint64_t)s->allow_max) {
        attorn_verdict verdict = attorn_allow();
        attorn_because(&verdict, &WITHIN_LIMIT);
        attorn_debit(&verdict, s->counter, amount, (uint64_t)s->allow_max);
        return verdict;
    }
    if (!s->has_challenge || total > (uint64_t)s->challenge.max) {
        return attorn_deny(&OVER_LIMIT);
    }
    attorn_verdict verdict = attorn_challenge(&ABOVE_LIMIT);
    attorn_approved_by(&verdict, s->challenge.role, (uint32_t)s->challenge.count);
    attorn_debit(&verdict, s->counter, amount, (uint64_t)s->challenge.max);
    return verdict;
}

static attorn_verdict evaluate(const attorn_context *ctx, const void *settings) {
    const struct settings *s = settings;
    if (s->scope != SCOPE_AGENT && attorn_user_of(ctx) == NULL) {
        return attorn_deny(&NO_USER);
    }
    // Whatever else there is in the arguments is not this policy's business.
    attorn_json arguments = attorn_arguments(ctx);
    attorn_json amount_given = attorn_json_member_of(arguments, s->amount_argument);
    attorn_json currency_given = attorn_json_member_of(arguments, s->currency_argument);
    uint64_t amount;
    attorn_text currency;
    if (attorn_json_is(amount_given) == ATTORN_JSON_NONE) {
        return attorn_deny(&AMOUNT_MISSING);
    }
    if (!attorn_amount(amount_given, &amount)) {
        return attorn_deny(&AMOUNT_INVALID);
    }
    if (attorn_json_is(currency_given) == ATTORN_JSON_NONE) {
        return attorn_deny(&CURRENCY_MISSING);
    }
    if (!attorn_json_text(currency_given, &currency) || !attorn_text_same(currency, s->currency)) {
        return attorn_deny(&OTHER_CURRENCY);
    }
    return limit(s, attorn_used(ctx, s->counter), amount);
}

const attorn_policy policy = {
    .name = "spend-limit",
    .version = "0.1.0",
    .settings = SETTINGS,
    .settings_size = sizeof(struct settings),
    .reasons = REASONS,
    .start = settings_start,
    .evaluate = evaluate,
};
