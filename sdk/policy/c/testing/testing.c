#include "attorn_testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/internal.h"

// Nobody keeps what is logged in a test.
void attorn_policy_log_write(attorn_policy_log_level_t level, policy_component_string_t *message) {
    (void)level;
    (void)message;
}

static exports_attorn_policy_policy_requirements_t requirements;

static const char *string(attorn_text text) {
    return (const char *)attorn_format("%.*s", ATTORN_ARG(text)).ptr;
}

const char *attorn_tested_start(const char *settings, exports_attorn_policy_policy_requirements_t *needs) {
    attorn_restart();
    attorn_text text = attorn_text_of(settings), problem;
    if (!exports_attorn_policy_policy_init(&text, &requirements, &problem)) {
        return string(problem);
    }
    if (needs != NULL) {
        *needs = requirements;
    }
    return NULL;
}

static bool is_reason_declared(attorn_text code) {
    for (size_t at = 0; at < requirements.reasons.len; at++) {
        if (attorn_text_same(requirements.reasons.ptr[at].code, code)) {
            return true;
        }
    }
    return false;
}

static bool is_counter_declared(attorn_text name) {
    for (size_t at = 0; at < requirements.counters.len; at++) {
        if (attorn_text_same(requirements.counters.ptr[at].name, name)) {
            return true;
        }
    }
    return false;
}

static attorn_text with_reasons(attorn_text said, const exports_attorn_policy_policy_reason_t *reasons, size_t count) {
    for (size_t at = 0; at < count; at++) {
        if (!is_reason_declared(reasons[at].code)) {
            return attorn_format("failed: reason `%.*s` is not declared", ATTORN_ARG(reasons[at].code));
        }
        said = attorn_format("%.*s %.*s", ATTORN_ARG(said), ATTORN_ARG(reasons[at].code));
    }
    return said;
}

static attorn_text with_debits(attorn_text said, const exports_attorn_policy_policy_list_debit_t *debits) {
    for (size_t at = 0; at < debits->len; at++) {
        if (!is_counter_declared(debits->ptr[at].counter)) {
            return attorn_format("failed: counter `%.*s` is not declared", ATTORN_ARG(debits->ptr[at].counter));
        }
    }
    return said;
}

const char *attorn_tested_says(const attorn_context *ctx, exports_attorn_policy_policy_verdict_t *verdict) {
    // The host hands over what is the policy's own.
    attorn_context copy = *ctx;
    exports_attorn_policy_policy_verdict_t said;
    attorn_text problem;
    if (!exports_attorn_policy_policy_evaluate(&copy, &said, &problem)) {
        return string(attorn_format("failed: %.*s", ATTORN_ARG(problem)));
    }
    if (verdict != NULL) {
        *verdict = said;
    }
    switch (said.tag) {
    case EXPORTS_ATTORN_POLICY_POLICY_VERDICT_ALLOW: {
        const exports_attorn_policy_policy_allow_t *allow = &said.val.allow;
        return string(with_debits(with_reasons(ATTORN_TEXT("allow"), allow->reasons.ptr, allow->reasons.len),
                                  &allow->terms.debits));
    }
    case EXPORTS_ATTORN_POLICY_POLICY_VERDICT_CHALLENGE: {
        const exports_attorn_policy_policy_challenge_t *challenge = &said.val.challenge;
        return string(
            with_debits(with_reasons(ATTORN_TEXT("challenge"), &challenge->reason, 1), &challenge->terms.debits));
    }
    case EXPORTS_ATTORN_POLICY_POLICY_VERDICT_DENY:
        return string(with_reasons(ATTORN_TEXT("deny"), said.val.deny.ptr, said.val.deny.len));
    default:
        return "abstain";
    }
}

attorn_context attorn_tested_context(const char *action, const char *resource) {
    attorn_text whole = attorn_text_of(resource);
    const char *slash = strchr(resource, '/');
    size_t length = slash == NULL ? whole.len : (size_t)(slash - resource);
    attorn_context made = {
        .phase = EXPORTS_ATTORN_POLICY_POLICY_PHASE_DECIDE,
        .time = UINT64_C(1767603600000),
        .caller = {EXPORTS_ATTORN_POLICY_POLICY_AUTHENTICATION_METHOD_DPOP,
                   ATTORN_TEXT("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")},
        .agent = {.id = ATTORN_TEXT("test-agent"), .instance = ATTORN_TEXT("test-1"), .owner = ATTORN_TEXT("tests")},
        .request =
            {
                .action = attorn_text_of(action),
                .resource = whole,
                .resource_type = {whole.ptr, length},
                .resource_id = attorn_text_of(slash == NULL ? "" : slash + 1),
                .purpose = ATTORN_TEXT("test"),
                .arguments = ATTORN_TEXT("{}"),
                // SHA-256 of the two bytes `{}`. Whoever changes the arguments need not change it.
                .arguments_digest = ATTORN_TEXT("44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
                .claimed_properties = ATTORN_TEXT("{}"),
            },
    };
    return made;
}

void attorn_tested_user(attorn_context *ctx, const char *id) {
    ctx->user.is_some = true;
    ctx->user.val = (attorn_user){
        .id = attorn_text_of(id),
        .issuer = ATTORN_TEXT("https://issuer.example"),
        .authenticated_at_ms = UINT64_C(1767600000000),
        .claims = ATTORN_TEXT("{}"),
    };
}

// One more at the end of a list, whose length goes up.
#define APPEND(list, item)                                                                        \
    do {                                                                                          \
        void *wider_ = attorn_new((list).len + 1, sizeof *(list).ptr);                            \
        if ((list).len > 0) {                                                                     \
            memcpy(wider_, (list).ptr, (list).len * sizeof *(list).ptr);                          \
        }                                                                                         \
        (list).ptr = wider_;                                                                      \
        (list).ptr[(list).len++] = item;                                                          \
    } while (0)

void attorn_tested_fact(attorn_context *ctx, const char *template_, const char *value) {
    exports_attorn_policy_policy_fact_t fact = {
        .template_ = attorn_text_of(template_),
        .name = {true, attorn_text_of(template_)},
        .value = {value != NULL, attorn_text_of(value == NULL ? "" : value)},
    };
    APPEND(ctx->facts, fact);
}

void attorn_tested_counter(attorn_context *ctx, const char *name, uint64_t used) {
    exports_attorn_policy_policy_counter_t counter = {
        .name = attorn_text_of(name), .used = used, .window_start_ms = UINT64_C(1767571200000)};
    APPEND(ctx->counters, counter);
}

void attorn_tested_expect(const char *said, const char *expected, const char *file, int line) {
    if (said == NULL || expected == NULL ? said != expected : strcmp(said, expected) != 0) {
        fprintf(stderr, "%s:%d: `%s`, expected `%s`\n", file, line, said == NULL ? "(nothing)" : said,
                expected == NULL ? "(nothing)" : expected);
        exit(1);
    }
}
