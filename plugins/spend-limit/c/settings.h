// The settings, found right or refused with what is wrong.

#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdint.h>

#include "json.h"

enum scope { SCOPE_AGENT, SCOPE_USER, SCOPE_USER_AGENT, SCOPES };
enum window { WINDOW_MINUTE, WINDOW_HOUR, WINDOW_DAY, WINDOW_MONTH, WINDOW_TOTAL, WINDOWS };

struct settings {
    // Parts of the text that they were read from, which has to live as long.
    struct text amount_argument;
    struct text currency_argument;
    struct text currency;
    // What is spent in each currency is counted apart.
    char counter[sizeof "spent_eur"];
    enum scope scope;
    enum window window;
    uint64_t allow_max;
    bool has_challenge;
    uint64_t challenge_max;
    struct text challenge_role;
    uint64_t challenge_count;
};

// What is wrong, if something is.
#define PROBLEM_BYTES 192

bool settings_parse(struct text json, struct settings *settings, char problem[PROBLEM_BYTES]);

#endif
