#include "settings.h"

static const char *const SCOPES[] = {"agent", "user", "user_agent", NULL};
static const attorn_scope SCOPE_OF[] = {ATTORN_AGENT, ATTORN_USER, ATTORN_USER_AGENT};
static const char *const WINDOWS[] = {"minute", "hour", "day", "month", "total", NULL};
static const attorn_window WINDOW_OF[] = {ATTORN_MINUTE, ATTORN_HOUR, ATTORN_DAY, ATTORN_MONTH, ATTORN_TOTAL};

static bool is_upper(uint8_t b) {
    return b >= 'A' && b <= 'Z';
}

static bool is_of_argument(uint8_t b) {
    return is_upper(b) || (b >= 'a' && b <= 'z') || (b >= '0' && b <= '9') || b == '-' || b == '_';
}

static bool all(attorn_text text, bool (*is)(uint8_t b)) {
    for (size_t at = 0; at < text.len; at++) {
        if (!is(text.ptr[at])) {
            return false;
        }
    }
    return true;
}

static const char *check_argument(attorn_text name) {
    return all(name, is_of_argument) ? NULL : "it is no name of an argument";
}

static const char *check_currency(attorn_text code) {
    return all(code, is_upper) ? NULL : "it is no code of three capital letters";
}

// A group is called whatever its provider calls it: any text without control characters.
static const char *check_role(attorn_text role) {
    for (size_t at = 0; at < role.len; at++) {
        uint8_t b = role.ptr[at];
        bool is_c1 = b == 0xc2 && at + 1 < role.len && role.ptr[at + 1] <= 0x9f;
        if (b < 0x20 || b == 0x7f || is_c1) {
            return "it is no role";
        }
    }
    return NULL;
}

static const attorn_field CHALLENGE[] = {
    ATTORN_INTEGER_FIELD(struct challenge, max, .min = 1,
                         .description =
                             "What may be spent in a window at all, in minor units; more than `allow_max`."),
    ATTORN_TEXT_FIELD(struct challenge, role, .min = 1, .max = 256, .check = check_role,
                      .description = "Who has to approve: `user`, `operator`, or a group's name as its provider has "
                                     "it, 1 to 256 bytes."),
    ATTORN_INTEGER_FIELD(struct challenge, count, .min = 1, .max = 16, .description = "How many distinct people."),
    ATTORN_END,
};

const attorn_field SETTINGS[] = {
    ATTORN_TEXT_FIELD(struct settings, amount_argument, .min = 1, .max = 64, .check = check_argument,
                      .description = "Which argument of the request is the amount, in minor units of the currency."),
    ATTORN_TEXT_FIELD(struct settings, currency_argument, .min = 1, .max = 64, .check = check_argument,
                      .description = "Which argument of the request is the currency; another than the amount."),
    ATTORN_TEXT_FIELD(struct settings, currency, .min = 3, .max = 3, .check = check_currency,
                      .description = "What the currency has to be, byte by byte."),
    ATTORN_ONE_OF_FIELD(struct settings, scope, SCOPES, .description = "Whose spending is counted."),
    ATTORN_ONE_OF_FIELD(struct settings, window, WINDOWS, .description = "Over what time it is counted, in UTC."),
    ATTORN_INTEGER_FIELD(struct settings, allow_max,
                         .description = "What may be spent in a window without an approval, in minor units. 0 only "
                                        "with a challenge."),
    ATTORN_OBJECT_FIELD(struct settings, challenge, CHALLENGE, ATTORN_OPTIONAL(struct settings, has_challenge),
                        .description = "What may be spent with an approval. Without it, everything beyond "
                                       "`allow_max` is denied."),
    ATTORN_END,
};

void settings_start(void *settings, attorn_needs *needs) {
    struct settings *s = settings;
    if (attorn_text_same(s->amount_argument, s->currency_argument)) {
        attorn_fail("settings: at `currency_argument`: `%.*s` is the amount already", ATTORN_ARG(s->amount_argument));
    }
    if (!s->has_challenge && s->allow_max == 0) {
        attorn_fail("settings: at `allow_max`: 0 without a challenge would deny everything");
    }
    if (s->has_challenge && s->challenge.max <= s->allow_max) {
        attorn_fail("settings: at `challenge.max`: it is not above `allow_max`");
    }
    attorn_text counter = attorn_format("spent_%.*s", ATTORN_ARG(s->currency));
    for (size_t at = sizeof "spent_" - 1; at < counter.len; at++) {
        counter.ptr[at] += 'a' - 'A';
    }
    s->counter = (const char *)counter.ptr;
    const char *unit = (const char *)attorn_format("%.*s minor units", ATTORN_ARG(s->currency)).ptr;
    attorn_need_counter(needs, s->counter, unit, SCOPE_OF[s->scope], WINDOW_OF[s->window]);
}
