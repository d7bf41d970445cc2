#include "json.h"

#include <string.h>

static const char *skip_string(const char *p) {
    for (p++; *p != '"'; p++) {
        if (*p == '\\') {
            p++;
        }
    }
    return p + 1;
}

const char *json_skip(const char *p) {
    size_t depth = 0;
    do {
        if (*p == '"') {
            p = skip_string(p);
        } else {
            depth += *p == '{' || *p == '[';
            depth -= *p == '}' || *p == ']';
            p++;
        }
    } while (depth > 0);
    // A number or a word goes on to the next mark.
    while (*p != ',' && *p != '}' && *p != ']' && *p != ':' && *p != '\0') {
        p++;
    }
    return p;
}

const char *json_first(const char *collection) {
    return collection[1] == ']' || collection[1] == '}' ? NULL : collection + 1;
}

const char *json_after(const char *value) {
    const char *p = json_skip(value);
    return *p == ',' ? p + 1 : NULL;
}

const char *json_member(const char *object, const char *name) {
    size_t length = strlen(name);
    for (const char *p = json_first(object); p != NULL;) {
        const char *value = json_skip(p) + 1;
        if (json_length(p) == length && memcmp(p + 1, name, length) == 0) {
            return value;
        }
        p = json_after(value);
    }
    return NULL;
}

size_t json_length(const char *string) {
    return (size_t)(skip_string(string) - string) - 2;
}
