// The policy `spend-limit` in C, against nothing but the contract. See the README above.
//
// Nothing is freed here: a sandbox is made anew for each decision, and all of its memory goes with it.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "number.h"
#include "policy_component.h"
#include "schema.h"
#include "settings.h"

typedef exports_attorn_policy_policy_context_t context_t;
typedef exports_attorn_policy_policy_description_t description_t;
typedef exports_attorn_policy_policy_requirements_t requirements_t;
typedef exports_attorn_policy_policy_reason_t reason_t;
typedef exports_attorn_policy_policy_reason_declaration_t reason_declaration_t;
typedef exports_attorn_policy_policy_counter_declaration_t counter_declaration_t;
typedef exports_attorn_policy_policy_approval_requirement_t approval_requirement_t;
typedef exports_attorn_policy_policy_debit_t debit_t;
typedef exports_attorn_policy_policy_terms_t terms_t;
typedef exports_attorn_policy_policy_verdict_t verdict_t;

enum reason {
    WITHIN_LIMIT,
    ABOVE_LIMIT,
    OVER_LIMIT,
    NO_USER,
    AMOUNT_MISSING,
    AMOUNT_INVALID,
    CURRENCY_MISSING,
    OTHER_CURRENCY,
    REASONS
};

static const struct {
    const char *code;
    const char *text;
} REASON[REASONS] = {
    {"within_limit", "what is spent stays within what is allowed without an approval"},
    {"above_limit", "what is spent passes what is allowed without an approval"},
    {"over_limit", "what is spent passes what is allowed at all"},
    {"no_user", "this is only for agents that act for a user"},
    {"amount_missing", "the arguments do not have the amount"},
    {"amount_invalid",
     "the amount is no whole number of minor units, 1 or more, as a safe integer or a string of digits"},
    {"currency_missing", "the arguments do not have the currency"},
    {"other_currency", "the limit is in another currency"},
};

static struct settings settings;
static bool initialised;

// The host cannot go on without memory either: a trap is a failure, and denies.
static void *new(size_t bytes) {
    void *made = calloc(1, bytes);
    if (made == NULL) {
        __builtin_trap();
    }
    return made;
}

static struct text text(policy_component_string_t string) {
    return (struct text){(const char *)string.ptr, string.len};
}

static policy_component_string_t copy(struct text from) {
    policy_component_string_t made = {new(from.length + 1), from.length};
    memcpy(made.ptr, from.at, from.length);
    return made;
}

static policy_component_string_t string(const char *from) {
    return copy((struct text){from, strlen(from)});
}

void exports_attorn_policy_policy_describe(description_t *ret) {
    *ret = (description_t){string("spend-limit"), string("0.1.0"), string(SCHEMA)};
}

bool exports_attorn_policy_policy_init(policy_component_string_t *json, requirements_t *ret,
                                       policy_component_string_t *err) {
    char problem[PROBLEM_BYTES];
    if (!settings_parse(text(*json), &settings, problem)) {
        *err = string(problem);
        return false;
    }
    initialised = true;
    static const exports_attorn_policy_policy_scope_t SCOPE[SCOPES] = {
        EXPORTS_ATTORN_POLICY_POLICY_SCOPE_AGENT,
        EXPORTS_ATTORN_POLICY_POLICY_SCOPE_USER,
        EXPORTS_ATTORN_POLICY_POLICY_SCOPE_USER_AGENT,
    };
    static const exports_attorn_policy_policy_window_t WINDOW[WINDOWS] = {
        EXPORTS_ATTORN_POLICY_POLICY_WINDOW_MINUTE, EXPORTS_ATTORN_POLICY_POLICY_WINDOW_HOUR,
        EXPORTS_ATTORN_POLICY_POLICY_WINDOW_DAY,    EXPORTS_ATTORN_POLICY_POLICY_WINDOW_MONTH,
        EXPORTS_ATTORN_POLICY_POLICY_WINDOW_TOTAL,
    };
    char unit[] = "EUR minor units";
    memcpy(unit, settings.currency.at, 3);
    counter_declaration_t *counter = new(sizeof *counter);
    *counter = (counter_declaration_t){string(settings.counter), string(unit), SCOPE[settings.scope], WINDOW[settings.window]};
    reason_declaration_t *reasons = new(REASONS * sizeof *reasons);
    for (int at = 0; at < REASONS; at++) {
        reasons[at] = (reason_declaration_t){string(REASON[at].code), string(REASON[at].text), true};
    }
    memset(ret, 0, sizeof *ret);
    ret->reasons.ptr = reasons;
    ret->reasons.len = REASONS;
    ret->counters.ptr = counter;
    ret->counters.len = 1;
    return true;
}

static reason_t *reason(enum reason why) {
    reason_t *made = new(sizeof *made);
    *made = (reason_t){string(REASON[why].code), string(REASON[why].text)};
    return made;
}

static bool deny(verdict_t *ret, enum reason why) {
    ret->tag = EXPORTS_ATTORN_POLICY_POLICY_VERDICT_DENY;
    ret->val.deny.ptr = reason(why);
    ret->val.deny.len = 1;
    return true;
}

static void debit(terms_t *terms, uint64_t amount, uint64_t at_most) {
    debit_t *made = new(sizeof *made);
    *made = (debit_t){string(settings.counter), amount, at_most};
    memset(terms, 0, sizeof *terms);
    terms->debits.ptr = made;
    terms->debits.len = 1;
}

static bool limit(uint64_t used, uint64_t amount, verdict_t *ret) {
    uint64_t total;
    // A sum that cannot be counted is over any limit.
    if (__builtin_add_overflow(used, amount, &total)) {
        return deny(ret, OVER_LIMIT);
    }
    if (total <= settings.allow_max) {
        ret->tag = EXPORTS_ATTORN_POLICY_POLICY_VERDICT_ALLOW;
        debit(&ret->val.allow.terms, amount, settings.allow_max);
        ret->val.allow.reasons.ptr = reason(WITHIN_LIMIT);
        ret->val.allow.reasons.len = 1;
        return true;
    }
    if (!settings.has_challenge || total > settings.challenge_max) {
        return deny(ret, OVER_LIMIT);
    }
    approval_requirement_t *approval = new(sizeof *approval);
    *approval = (approval_requirement_t){copy(settings.challenge_role), (uint32_t)settings.challenge_count};
    ret->tag = EXPORTS_ATTORN_POLICY_POLICY_VERDICT_CHALLENGE;
    ret->val.challenge.approvers.ptr = approval;
    ret->val.challenge.approvers.len = 1;
    debit(&ret->val.challenge.terms, amount, settings.challenge_max);
    ret->val.challenge.reason = *reason(ABOVE_LIMIT);
    return true;
}

static bool same(struct text a, struct text b) {
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

static bool fail(policy_component_string_t *err, const char *problem) {
    *err = string(problem);
    return false;
}

bool exports_attorn_policy_policy_evaluate(context_t *ctx, verdict_t *ret, policy_component_string_t *err) {
    if (!initialised) {
        return fail(err, "evaluate was called before init");
    }
    if (settings.scope != SCOPE_AGENT && !ctx->user.is_some) {
        return deny(ret, NO_USER);
    }
    struct members members;
    struct text name, value, amount_at = {0}, currency_at = {0}, currency;
    if (!json_object(text(ctx->request.arguments), &members)) {
        return fail(err, "arguments: they are no object");
    }
    while (json_next(&members, &name, &value)) {
        if (same(name, settings.amount_argument)) {
            amount_at = value;
        } else if (same(name, settings.currency_argument)) {
            currency_at = value;
        }
    }
    if (members.broken) {
        return fail(err, "arguments: they are no JSON");
    }
    uint64_t amount;
    if (amount_at.length == 0) {
        return deny(ret, AMOUNT_MISSING);
    }
    if (!number_amount(amount_at, &amount)) {
        return deny(ret, AMOUNT_INVALID);
    }
    if (currency_at.length == 0) {
        return deny(ret, CURRENCY_MISSING);
    }
    if (!json_string(currency_at, &currency) || !same(currency, settings.currency)) {
        return deny(ret, OTHER_CURRENCY);
    }
    for (size_t at = 0; at < ctx->counters.len; at++) {
        if (text_is(text(ctx->counters.ptr[at].name), settings.counter)) {
            return limit(ctx->counters.ptr[at].used, amount, ret);
        }
    }
    char problem[PROBLEM_BYTES];
    snprintf(problem, sizeof problem, "counter `%s` is not among the requirements", settings.counter);
    return fail(err, problem);
}
