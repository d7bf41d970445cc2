// Making verdicts. What does not fit sticks, and the call fails.

#include "internal.h"

#include <string.h>

attorn_verdict attorn_allow(void) {
    return (attorn_verdict){.kind = ATTORN_ALLOW};
}

attorn_verdict attorn_abstain(void) {
    return (attorn_verdict){.kind = ATTORN_ABSTAIN};
}

static void add_reason(attorn_verdict *verdict, const attorn_reason *why, attorn_text text) {
    if (verdict->reasons_count == ATTORN_REASONS_MAX) {
        attorn_problem("a verdict has %d reasons at most", ATTORN_REASONS_MAX);
        return;
    }
    verdict->reasons[verdict->reasons_count++] = (exports_attorn_policy_policy_reason_t){attorn_text_of(why->code), text};
}

attorn_verdict attorn_challenge(const attorn_reason *why) {
    attorn_verdict made = {.kind = ATTORN_CHALLENGE};
    add_reason(&made, why, attorn_text_of(why->text));
    return made;
}

attorn_verdict attorn_deny(const attorn_reason *why) {
    attorn_verdict made = {.kind = ATTORN_DENY};
    add_reason(&made, why, attorn_text_of(why->text));
    return made;
}

void attorn_because_text(attorn_verdict *verdict, const attorn_reason *why, attorn_text text) {
    if (verdict->kind != ATTORN_ALLOW && verdict->kind != ATTORN_DENY) {
        attorn_problem("only an allow and a deny have several reasons");
        return;
    }
    add_reason(verdict, why, text);
}

void attorn_because(attorn_verdict *verdict, const attorn_reason *why) {
    attorn_because_text(verdict, why, attorn_text_of(why->text));
}

// Terms are an allow's or a challenge's, and numbers are from 1 on.
static bool has_terms(const attorn_verdict *verdict) {
    if (verdict->kind == ATTORN_ALLOW || verdict->kind == ATTORN_CHALLENGE) {
        return true;
    }
    attorn_problem("only an allow and a challenge have terms");
    return false;
}

static bool is_count(const char *what, uint64_t number, uint64_t max) {
    if (number >= 1 && number <= max) {
        return true;
    }
    attorn_problem("%s: %llu is no whole number from 1 to %llu", what, (unsigned long long)number,
                   (unsigned long long)max);
    return false;
}

void attorn_for_at_most(attorn_verdict *verdict, uint64_t grant_ms) {
    if (has_terms(verdict) && is_count("grant", grant_ms, ATTORN_NUMBER_MAX)) {
        verdict->grant_ms_max = grant_ms;
    }
}

void attorn_uses(attorn_verdict *verdict, uint32_t uses) {
    if (has_terms(verdict) && is_count("uses", uses, UINT32_MAX)) {
        verdict->uses_max = uses;
    }
}

void attorn_debit(attorn_verdict *verdict, const char *counter, uint64_t amount, uint64_t at_most) {
    if (!has_terms(verdict) || !is_count("amount", amount, ATTORN_NUMBER_MAX) ||
        !is_count("limit", at_most, ATTORN_NUMBER_MAX)) {
        return;
    }
    if (verdict->debits_count == ATTORN_DEBITS_MAX) {
        attorn_problem("a verdict has %d debits at most", ATTORN_DEBITS_MAX);
        return;
    }
    verdict->debits[verdict->debits_count++] =
        (exports_attorn_policy_policy_debit_t){attorn_text_of(counter), amount, at_most};
}

void attorn_oblige(attorn_verdict *verdict, const char *kind, attorn_text parameters) {
    attorn_json value;
    if (!has_terms(verdict)) {
        return;
    }
    if (!attorn_json_read(parameters, &value) || attorn_json_is(value) != ATTORN_JSON_OBJECT) {
        attorn_problem("obligation `%s`: its parameters are no JSON object", kind);
        return;
    }
    if (verdict->obligations_count == ATTORN_OBLIGATIONS_MAX) {
        attorn_problem("a verdict has %d obligations at most", ATTORN_OBLIGATIONS_MAX);
        return;
    }
    verdict->obligations[verdict->obligations_count++] =
        (exports_attorn_policy_policy_obligation_t){attorn_text_of(kind), parameters};
}

void attorn_approved_by(attorn_verdict *verdict, attorn_text role, uint32_t people) {
    if (verdict->kind != ATTORN_CHALLENGE) {
        attorn_problem("only a challenge is approved");
        return;
    }
    if (!is_count("people", people, 16)) {
        return;
    }
    if (verdict->approvers_count == ATTORN_APPROVERS_MAX) {
        attorn_problem("a challenge asks for %d approvals at most", ATTORN_APPROVERS_MAX);
        return;
    }
    verdict->approvers[verdict->approvers_count++] =
        (exports_attorn_policy_policy_approval_requirement_t){role, people};
}

void attorn_approved_by_group(attorn_verdict *verdict, attorn_text name, uint32_t people) {
    if (attorn_text_is(name, "user") || attorn_text_is(name, "operator")) {
        attorn_problem("`%.*s` is a role, and no group goes by its name", ATTORN_ARG(name));
        return;
    }
    attorn_approved_by(verdict, name, people);
}

static void *copy(const void *from, size_t count, size_t size) {
    void *made = attorn_new(count, size);
    if (count > 0) {
        memcpy(made, from, count * size);
    }
    return made;
}

static exports_attorn_policy_policy_terms_t terms(const attorn_verdict *verdict) {
    exports_attorn_policy_policy_terms_t made = {
        .grant_ms_max = {verdict->grant_ms_max != 0, verdict->grant_ms_max},
        .uses_max = {verdict->uses_max != 0, verdict->uses_max},
        .debits = {copy(verdict->debits, verdict->debits_count, sizeof verdict->debits[0]), verdict->debits_count},
        .obligations = {copy(verdict->obligations, verdict->obligations_count, sizeof verdict->obligations[0]),
                        verdict->obligations_count},
    };
    return made;
}

bool attorn_verdict_out(const attorn_verdict *verdict, exports_attorn_policy_policy_verdict_t *out) {
    exports_attorn_policy_policy_reason_t *reasons =
        copy(verdict->reasons, verdict->reasons_count, sizeof verdict->reasons[0]);
    memset(out, 0, sizeof *out);
    switch (verdict->kind) {
    case ATTORN_ALLOW:
        out->tag = EXPORTS_ATTORN_POLICY_POLICY_VERDICT_ALLOW;
        out->val.allow.terms = terms(verdict);
        out->val.allow.reasons.ptr = reasons;
        out->val.allow.reasons.len = verdict->reasons_count;
        return true;
    case ATTORN_CHALLENGE:
        if (verdict->approvers_count == 0) {
            attorn_problem("a challenge has to say whose approval is needed: `attorn_approved_by`");
            return false;
        }
        out->tag = EXPORTS_ATTORN_POLICY_POLICY_VERDICT_CHALLENGE;
        out->val.challenge.terms = terms(verdict);
        out->val.challenge.reason = reasons[0];
        out->val.challenge.approvers.ptr =
            copy(verdict->approvers, verdict->approvers_count, sizeof verdict->approvers[0]);
        out->val.challenge.approvers.len = verdict->approvers_count;
        return true;
    case ATTORN_DENY:
        out->tag = EXPORTS_ATTORN_POLICY_POLICY_VERDICT_DENY;
        out->val.deny.ptr = reasons;
        out->val.deny.len = verdict->reasons_count;
        return true;
    case ATTORN_ABSTAIN:
        out->tag = EXPORTS_ATTORN_POLICY_POLICY_VERDICT_ABSTAIN;
        return true;
    case ATTORN_NOTHING:
    case ATTORN_FAILURE:
        break;
    }
    attorn_problem("evaluate said nothing: it has to return what `attorn_allow` and the like make");
    return false;
}
