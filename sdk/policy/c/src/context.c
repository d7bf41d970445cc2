// Reading the context. The types are the contract's own.

#include "internal.h"

static const attorn_json NONE = {{NULL, 0}};

// One JSON text of the context; what cannot be read sticks.
static attorn_json read(const char *what, attorn_text text) {
    attorn_json value;
    if (!attorn_json_read(text, &value)) {
        attorn_problem("%s: it is no JSON", what);
    }
    return value;
}

const attorn_user *attorn_user_of(const attorn_context *ctx) {
    return ctx->user.is_some ? &ctx->user.val : NULL;
}

// Arguments and claims are objects, always.
static attorn_json read_object(const char *what, attorn_text text) {
    attorn_json value = read(what, text);
    if (attorn_json_is(value) == ATTORN_JSON_OBJECT) {
        return value;
    }
    attorn_problem("%s: it is no object", what);
    return NONE;
}

attorn_json attorn_arguments(const attorn_context *ctx) {
    return read_object("arguments", ctx->request.arguments);
}

attorn_json attorn_claims(const attorn_context *ctx) {
    return ctx->user.is_some ? read_object("claims", ctx->user.val.claims) : NONE;
}

attorn_json attorn_fact(const attorn_context *ctx, const char *template_) {
    for (size_t at = 0; at < ctx->facts.len; at++) {
        const exports_attorn_policy_policy_fact_t *fact = &ctx->facts.ptr[at];
        if (attorn_text_is(fact->template_, template_)) {
            return fact->value.is_some ? read("fact", fact->value.val) : NONE;
        }
    }
    attorn_problem("fact `%s` is not among the requirements", template_);
    return NONE;
}

uint64_t attorn_used(const attorn_context *ctx, const char *counter) {
    for (size_t at = 0; at < ctx->counters.len; at++) {
        if (attorn_text_is(ctx->counters.ptr[at].name, counter)) {
            return ctx->counters.ptr[at].used;
        }
    }
    attorn_problem("counter `%s` is not among the requirements", counter);
    return UINT64_MAX;
}

bool attorn_label(const attorn_context *ctx, const char *name, attorn_text *value) {
    for (size_t at = 0; at < ctx->agent.labels.len; at++) {
        if (attorn_text_is(ctx->agent.labels.ptr[at].f0, name)) {
            *value = ctx->agent.labels.ptr[at].f1;
            return true;
        }
    }
    return false;
}

bool attorn_wanted_credential(const attorn_context *ctx, attorn_wanted *wanted) {
    *wanted = (attorn_wanted){{NULL, 0}, {NULL, 0}};
    for (size_t at = 0; at < ctx->extensions.len; at++) {
        if (!attorn_text_is(ctx->extensions.ptr[at].f0, "attorn.credential")) {
            continue;
        }
        // Later hosts may say more of it.
        attorn_json value = read_object("attorn.credential", ctx->extensions.ptr[at].f1);
        attorn_json target = attorn_json_member(value, "target");
        attorn_json_kind kind = attorn_json_is(target);
        bool is_tied = kind != ATTORN_JSON_NONE && kind != ATTORN_JSON_NULL;
        if (!attorn_json_text(attorn_json_member(value, "kind"), &wanted->kind) ||
            (is_tied && !attorn_json_text(target, &wanted->target))) {
            attorn_problem("attorn.credential: it is described in a way that is not known here");
        }
        return true;
    }
    return false;
}
