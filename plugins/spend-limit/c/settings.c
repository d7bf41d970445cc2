#include "settings.h"

#include <stdio.h>
#include <string.h>

#include "number.h"

#define NAME_BYTES_MAX 64
#define ROLE_BYTES_MAX 256
#define APPROVERS_MAX 16

static const char *const SCOPE_NAMES[SCOPES] = {"agent", "user", "user_agent"};
static const char *const WINDOW_NAMES[WINDOWS] = {"minute", "hour", "day", "month", "total"};

static bool refuse(char *problem, const char *path, const char *what) {
    snprintf(problem, PROBLEM_BYTES, "settings: at `%s`: %s", path, what);
    return false;
}

static bool refuse_unknown(char *problem, struct text name) {
    int length = name.length < NAME_BYTES_MAX ? (int)name.length : NAME_BYTES_MAX;
    // Cut within a character it would be no text at all.
    while (length > 0 && (name.at[length - 1] & 0x80)) {
        length--;
    }
    snprintf(problem, PROBLEM_BYTES, "settings: unknown field `%.*s`", length, name.at);
    return false;
}

static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_argument(struct text name) {
    for (size_t i = 0; i < name.length; i++) {
        char c = name.at[i];
        if (!is_lower(c) && !is_upper(c) && !is_digit(c) && c != '_' && c != '-') {
            return false;
        }
    }
    return name.length >= 1 && name.length <= NAME_BYTES_MAX;
}

static bool is_currency(struct text code) {
    return code.length == 3 && is_upper(code.at[0]) && is_upper(code.at[1]) && is_upper(code.at[2]);
}

// A role is `user`, `operator` or the name of a group: any text without control characters. The host writes settings
// in canonical form, where nothing is escaped but a quote, a backslash and control characters.
static bool parse_role(struct text inside, struct text *role) {
    // There is one set of settings in an instance.
    static char bytes[ROLE_BYTES_MAX];
    size_t length = 0;
    for (size_t i = 0; i < inside.length; i++) {
        char c = inside.at[i];
        if (c == '\\') {
            c = ++i < inside.length ? inside.at[i] : 0;
            if (c != '"' && c != '\\') {
                return false;
            }
        }
        bool is_c1 = i > 0 && (unsigned char)inside.at[i - 1] == 0xc2 && (unsigned char)c >= 0x80 && (unsigned char)c <= 0x9f;
        if ((unsigned char)c < 0x20 || c == 0x7f || is_c1 || length == ROLE_BYTES_MAX) {
            return false;
        }
        bytes[length++] = c;
    }
    *role = (struct text){bytes, length};
    return length >= 1;
}

// Which of some names a string is; `count` if none of them.
static int one_of(struct text value, const char *const *names, int count) {
    struct text inside;
    int at = json_string(value, &inside) ? 0 : count;
    while (at < count && !text_is(inside, names[at])) {
        at++;
    }
    return at;
}

// The members that are there. One that is not is empty, which no value is.
struct found {
    const char *name;
    struct text value;
};

static bool find(const char *path, struct text json, struct found *fields, int count, char *problem) {
    struct members members;
    struct text name, value;
    if (!json_object(json, &members)) {
        return refuse(problem, path, "it is no object");
    }
    while (json_next(&members, &name, &value)) {
        int at = 0;
        while (at < count && !text_is(name, fields[at].name)) {
            at++;
        }
        if (at == count) {
            return refuse_unknown(problem, name);
        }
        fields[at].value = value;
    }
    return !members.broken || refuse(problem, path, "it is no JSON");
}

static bool parse_challenge(struct text json, struct settings *settings, char *problem) {
    enum { MAX, ROLE, COUNT, FIELDS };
    struct found fields[FIELDS] = {{"max", {0}}, {"role", {0}}, {"count", {0}}};
    if (!find("challenge", json, fields, FIELDS, problem)) {
        return false;
    }
    for (int at = 0; at < FIELDS; at++) {
        if (fields[at].value.length == 0) {
            return refuse(problem, fields[at].name, "it is missing");
        }
    }
    if (!number_digits(fields[MAX].value, SAFE_MAX, &settings->challenge_max)) {
        return refuse(problem, "challenge.max", "it is no whole number that every reader of JSON knows");
    }
    if (settings->challenge_max <= settings->allow_max) {
        return refuse(problem, "challenge.max", "it is not above `allow_max`");
    }
    struct text role;
    if (!json_string(fields[ROLE].value, &role) || !parse_role(role, &settings->challenge_role)) {
        return refuse(problem, "challenge.role", "it is no role");
    }
    bool is_number = number_digits(fields[COUNT].value, APPROVERS_MAX, &settings->challenge_count);
    if (!is_number || settings->challenge_count == 0) {
        return refuse(problem, "challenge.count", "it is not between 1 and 16");
    }
    return true;
}

bool settings_parse(struct text json, struct settings *settings, char problem[PROBLEM_BYTES]) {
    enum { AMOUNT, CURRENCY_ARGUMENT, CURRENCY, SCOPE, WINDOW, ALLOW_MAX, REQUIRED, CHALLENGE = REQUIRED, FIELDS };
    struct found fields[FIELDS] = {
        {"amount_argument", {0}}, {"currency_argument", {0}}, {"currency", {0}},  {"scope", {0}},
        {"window", {0}},          {"allow_max", {0}},         {"challenge", {0}},
    };
    if (!find("settings", json, fields, FIELDS, problem)) {
        return false;
    }
    for (int at = 0; at < REQUIRED; at++) {
        if (fields[at].value.length == 0) {
            return refuse(problem, fields[at].name, "it is missing");
        }
    }
    if (!json_string(fields[AMOUNT].value, &settings->amount_argument) || !is_argument(settings->amount_argument)) {
        return refuse(problem, "amount_argument", "it is no name of an argument");
    }
    struct text *currency_argument = &settings->currency_argument;
    if (!json_string(fields[CURRENCY_ARGUMENT].value, currency_argument) || !is_argument(*currency_argument)) {
        return refuse(problem, "currency_argument", "it is no name of an argument");
    }
    struct text *amount = &settings->amount_argument;
    if (amount->length == currency_argument->length && !memcmp(amount->at, currency_argument->at, amount->length)) {
        return refuse(problem, "currency_argument", "it is the amount already");
    }
    if (!json_string(fields[CURRENCY].value, &settings->currency) || !is_currency(settings->currency)) {
        return refuse(problem, "currency", "it is no code of three capital letters");
    }
    const char *currency = settings->currency.at;
    snprintf(settings->counter, sizeof settings->counter, "spent_%c%c%c", currency[0] - 'A' + 'a',
             currency[1] - 'A' + 'a', currency[2] - 'A' + 'a');
    settings->scope = (enum scope)one_of(fields[SCOPE].value, SCOPE_NAMES, SCOPES);
    if (settings->scope == SCOPES) {
        return refuse(problem, "scope", "there is no such scope");
    }
    settings->window = (enum window)one_of(fields[WINDOW].value, WINDOW_NAMES, WINDOWS);
    if (settings->window == WINDOWS) {
        return refuse(problem, "window", "there is no such window");
    }
    if (!number_digits(fields[ALLOW_MAX].value, SAFE_MAX, &settings->allow_max)) {
        return refuse(problem, "allow_max", "it is no whole number that every reader of JSON knows");
    }
    settings->has_challenge = fields[CHALLENGE].value.length > 0;
    if (!settings->has_challenge) {
        return settings->allow_max > 0 || refuse(problem, "allow_max", "0 without a challenge would deny everything");
    }
    return parse_challenge(fields[CHALLENGE].value, settings, problem);
}
