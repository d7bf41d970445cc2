// The policy that the tests are about: its settings are of every kind, and what it says is up to the test.

#include "tests.h"

struct rule {
    attorn_texts actions;
    bool has_note;
    attorn_text note;
};

struct limit {
    int64_t max;
};

struct settings {
    attorn_text currency;
    attorn_texts actions;
    int64_t cents;
    bool strict;
    int window;
    bool has_limit;
    struct limit limit;
    bool has_rules;
    attorn_objects rules;
};

static const char *const WINDOWS[] = {"hour", "day", NULL};

static const attorn_field LIMIT[] = {
    ATTORN_INTEGER_FIELD(struct limit, max, .min = 1, .description = "At \"most\"."),
    ATTORN_END,
};

static const attorn_field RULE[] = {
    ATTORN_TEXTS_FIELD(struct rule, actions, .min = 1, .check = attorn_check_action_pattern),
    ATTORN_TEXT_FIELD(struct rule, note, ATTORN_OPTIONAL(struct rule, has_note)),
    ATTORN_END,
};

static const attorn_field FIELDS[] = {
    ATTORN_TEXT_FIELD(struct settings, currency, .min = 3, .max = 3),
    ATTORN_TEXTS_FIELD(struct settings, actions),
    ATTORN_INTEGER_FIELD(struct settings, cents),
    ATTORN_BOOLEAN_FIELD(struct settings, strict),
    ATTORN_ONE_OF_FIELD(struct settings, window, WINDOWS),
    ATTORN_OBJECT_FIELD(struct settings, limit, LIMIT, ATTORN_OPTIONAL(struct settings, has_limit)),
    ATTORN_OBJECTS_FIELD(struct settings, rules, struct rule, RULE, ATTORN_OPTIONAL(struct settings, has_rules)),
    ATTORN_END,
};

static const attorn_reason WELL = ATTORN_PUBLIC_REASON("well", "all is well");
static const attorn_reason BAD = ATTORN_PRIVATE_REASON("bad", "something is bad");
static const attorn_reason *const REASONS[] = {&WELL, &BAD, NULL};

static void start(void *settings, attorn_needs *needs) {
    const struct settings *s = settings;
    if (s->has_limit && s->limit.max < s->cents) {
        attorn_fail("settings: at `limit.max`: it is below `cents`");
    }
    attorn_need_fact(needs, "user/{user.id}/risk");
    attorn_need_counter(needs, "spent", "cents", ATTORN_USER_AGENT, ATTORN_DAY);
}

attorn_verdict (*tested_evaluate)(const attorn_context *ctx);

static attorn_verdict evaluate(const attorn_context *ctx, const void *settings) {
    (void)settings;
    return tested_evaluate(ctx);
}

const attorn_policy policy = {
    .name = "tested",
    .version = "1.2.3",
    .settings = FIELDS,
    .settings_size = sizeof(struct settings),
    .reasons = REASONS,
    .start = start,
    .evaluate = evaluate,
};
