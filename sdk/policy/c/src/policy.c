// The component around a policy: what the host calls.

#include "internal.h"

static void *settings;
static bool is_started;

void attorn_restart(void) {
    is_started = false;
    settings = NULL;
}

static void *grow(void *list, size_t count, size_t size) {
    uint8_t *wider = attorn_new(count + 1, size);
    for (size_t at = 0; at < count * size; at++) {
        wider[at] = ((uint8_t *)list)[at];
    }
    return wider;
}

void attorn_need_fact(attorn_needs *needs, const char *template_) {
    policy_component_list_string_t *facts = &needs->all.facts;
    if (facts->len == ATTORN_FACTS_MAX) {
        attorn_problem("a policy asks for %d facts at most", ATTORN_FACTS_MAX);
        return;
    }
    facts->ptr = grow(facts->ptr, facts->len, sizeof *facts->ptr);
    facts->ptr[facts->len++] = attorn_text_of(template_);
}

void attorn_need_counter(attorn_needs *needs, const char *name, const char *unit, attorn_scope scope,
                         attorn_window window) {
    exports_attorn_policy_policy_list_counter_declaration_t *counters = &needs->all.counters;
    if (counters->len == ATTORN_COUNTERS_MAX) {
        attorn_problem("a policy has %d counters at most", ATTORN_COUNTERS_MAX);
        return;
    }
    counters->ptr = grow(counters->ptr, counters->len, sizeof *counters->ptr);
    counters->ptr[counters->len++] = (exports_attorn_policy_policy_counter_declaration_t){
        attorn_text_of(name), attorn_text_of(unit), (uint8_t)scope, (uint8_t)window};
}

void attorn_need_reason(attorn_needs *needs, const attorn_reason *reason) {
    exports_attorn_policy_policy_list_reason_declaration_t *reasons = &needs->all.reasons;
    if (reasons->len == ATTORN_DECLARED_MAX) {
        attorn_problem("a policy declares %d reasons at most", ATTORN_DECLARED_MAX);
        return;
    }
    reasons->ptr = grow(reasons->ptr, reasons->len, sizeof *reasons->ptr);
    reasons->ptr[reasons->len++] = (exports_attorn_policy_policy_reason_declaration_t){
        attorn_text_of(reason->code), attorn_text_of(reason->text), reason->is_public};
}

void exports_attorn_policy_policy_describe(exports_attorn_policy_policy_description_t *ret) {
    ret->name = attorn_text_of(policy.name);
    ret->version = attorn_text_of(policy.version);
    ret->settings_schema = attorn_schema(policy.settings, policy.name);
}

bool exports_attorn_policy_policy_init(exports_attorn_policy_policy_json_t *text,
                                       exports_attorn_policy_policy_requirements_t *ret,
                                       policy_component_string_t *err) {
    attorn_problem_begin();
    attorn_needs needs = {0};
    attorn_json value;
    void *read = attorn_new(1, policy.settings_size);
    if (is_started) {
        attorn_problem("init was called twice");
    } else if (!attorn_json_read(*text, &value)) {
        attorn_problem("settings: they are no JSON");
    } else if (attorn_read_fields(value, policy.settings, read, policy.settings_size)) {
        for (const attorn_reason *const *reason = policy.reasons; reason != NULL && *reason != NULL; reason++) {
            attorn_need_reason(&needs, *reason);
        }
        if (policy.start != NULL) {
            policy.start(read, &needs);
        }
    }
    if (attorn_problem_is(err)) {
        return false;
    }
    settings = read;
    is_started = true;
    *ret = needs.all;
    return true;
}

bool exports_attorn_policy_policy_evaluate(exports_attorn_policy_policy_context_t *ctx,
                                           exports_attorn_policy_policy_verdict_t *ret,
                                           policy_component_string_t *err) {
    attorn_problem_begin();
    if (!is_started) {
        attorn_problem("evaluate was called before init");
    } else {
        attorn_verdict verdict = policy.evaluate(ctx, settings);
        attorn_verdict_out(&verdict, ret);
    }
    return !attorn_problem_is(err);
}
