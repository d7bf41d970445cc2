// The settings, and what has to hold between them.

#ifndef SETTINGS_H
#define SETTINGS_H

#include "attorn_policy.h"

enum scope { SCOPE_AGENT, SCOPE_USER, SCOPE_USER_AGENT };

struct challenge {
    int64_t max;
    attorn_text role;
    int64_t count;
};

struct settings {
    attorn_text amount_argument;
    attorn_text currency_argument;
    attorn_text currency;
    int scope;
    int window;
    int64_t allow_max;
    bool has_challenge;
    struct challenge challenge;
    // What is spent in each currency is counted apart: cents and yen do not add up.
    const char *counter;
};

extern const attorn_field SETTINGS[];

// Refuse what does not fit together, work out the rest, and say what is needed.
void settings_start(void *settings, attorn_needs *needs);

#endif
