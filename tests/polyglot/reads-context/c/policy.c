// The policy `reads-context` in C. See the README above.

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "policy_component.h"
#include "schema.h"

typedef exports_attorn_policy_policy_context_t context_t;
typedef exports_attorn_policy_policy_delegation_t delegation_t;
typedef exports_attorn_policy_policy_permission_t permission_t;
typedef exports_attorn_policy_policy_reason_declaration_t reason_declaration_t;
typedef exports_attorn_policy_policy_reason_t reason_t;
typedef policy_component_string_t string_t;

static void *new(size_t bytes) {
    void *made = calloc(1, bytes);
    if (made == NULL) {
        __builtin_trap();
    }
    return made;
}

static string_t string(const char *from) {
    string_t made = {new(strlen(from) + 1), strlen(from)};
    memcpy(made.ptr, from, made.len);
    return made;
}

// With a zero at its end, where reading stops.
static const char *text(string_t from) {
    char *made = new(from.len + 1);
    memcpy(made, from.ptr, from.len);
    return made;
}

void exports_attorn_policy_policy_describe(exports_attorn_policy_policy_description_t *ret) {
    *ret = (exports_attorn_policy_policy_description_t){string("reads-context"), string("0.0.0"), string(SCHEMA)};
}

bool exports_attorn_policy_policy_init(string_t *settings, exports_attorn_policy_policy_requirements_t *ret,
                                       string_t *err) {
    (void)settings;
    (void)err;
    reason_declaration_t *reason = new(sizeof *reason);
    *reason = (reason_declaration_t){string("read"), string("how much was read"), true};
    memset(ret, 0, sizeof *ret);
    ret->reasons.ptr = reason;
    ret->reasons.len = 1;
    return true;
}

static uint64_t claims(const char *object) {
    uint64_t sum = 0;
    for (const char *p = json_first(object); p != NULL;) {
        const char *value = json_skip(p) + 1;
        sum += json_length(p) + json_length(value);
        p = json_after(value);
    }
    return sum;
}

static uint64_t of_records(context_t *ctx) {
    uint64_t sum = 0;
    for (size_t at = 0; at < ctx->delegations.len; at++) {
        delegation_t *hop = &ctx->delegations.ptr[at];
        sum += hop->id.len + hop->to_agent.len + hop->purpose.len + hop->session.len;
        sum += hop->expires_at_ms - hop->created_at_ms;
        for (size_t n = 0; n < hop->permissions.len; n++) {
            permission_t *one = &hop->permissions.ptr[n];
            sum += one->action.len + one->resource.len;
        }
    }
    return sum + (ctx->user.is_some ? claims(text(ctx->user.val.claims)) : 0);
}

static uint64_t of_text(const char *whole) {
    uint64_t sum = 0;
    for (const char *hop = json_first(json_member(whole, "delegations")); hop != NULL; hop = json_after(hop)) {
        sum += json_length(json_member(hop, "id")) + json_length(json_member(hop, "to_agent"));
        sum += json_length(json_member(hop, "purpose")) + json_length(json_member(hop, "session"));
        sum += strtoull(json_member(hop, "expires_at_ms"), NULL, 10);
        sum -= strtoull(json_member(hop, "created_at_ms"), NULL, 10);
        for (const char *one = json_first(json_member(hop, "permissions")); one != NULL; one = json_after(one)) {
            sum += json_length(json_member(one, "action")) + json_length(json_member(one, "resource"));
        }
    }
    const char *user = json_member(whole, "user");
    return sum + (*user == '{' ? claims(json_member(user, "claims")) : 0);
}

static bool is(string_t string, const char *other) {
    return string.len == strlen(other) && memcmp(string.ptr, other, string.len) == 0;
}

bool exports_attorn_policy_policy_evaluate(context_t *ctx, exports_attorn_policy_policy_verdict_t *ret,
                                           string_t *err) {
    (void)err;
    uint64_t sum = 0;
    if (is(ctx->request.action, "measure.records")) {
        sum = of_records(ctx);
    } else if (is(ctx->request.action, "measure.text")) {
        sum = of_text(text(ctx->request.claimed_properties));
    }
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)sum);
    reason_t *reason = new(sizeof *reason);
    *reason = (reason_t){string("read"), string(digits)};
    ret->tag = EXPORTS_ATTORN_POLICY_POLICY_VERDICT_DENY;
    ret->val.deny.ptr = reason;
    ret->val.deny.len = 1;
    return true;
}
