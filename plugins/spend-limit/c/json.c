#include "json.h"

#include <string.h>

// How deep values may nest; the host refuses 32.
#define DEPTH_MAX 64

static bool skip_string(const char **at, const char *end) {
    const char *p = *at + 1;
    while (p < end && *p != '"') {
        p += *p == '\\' ? 2 : 1;
    }
    if (p >= end) {
        return false;
    }
    *at = p + 1;
    return true;
}

// Past one value: brackets are counted, and strings stepped over whole.
static bool skip_value(const char **at, const char *end) {
    const char *p = *at;
    size_t depth = 0;
    do {
        if (p >= end) {
            return false;
        }
        if (*p == '"') {
            if (!skip_string(&p, end)) {
                return false;
            }
        } else if (*p == '{' || *p == '[') {
            if (++depth > DEPTH_MAX) {
                return false;
            }
            p++;
        } else if (*p == '}' || *p == ']') {
            if (depth == 0) {
                return false;
            }
            depth--;
            p++;
        } else if (depth > 0 && (*p == ',' || *p == ':')) {
            p++;
        } else {
            const char *from = p;
            while (p < end && !strchr(",:{}[]\"", *p)) {
                p++;
            }
            if (p == from) {
                return false;
            }
        }
    } while (depth > 0);
    *at = p;
    return true;
}

bool json_object(struct text json, struct members *members) {
    *members = (struct members){json.at + 1, json.at + json.length - 1, true, false};
    return json.length >= 2 && json.at[0] == '{' && json.at[json.length - 1] == '}';
}

bool json_next(struct members *members, struct text *name, struct text *value) {
    const char *p = members->at;
    if (p == members->end) {
        return false;
    }
    members->broken = true;
    if (!members->first && *p++ != ',') {
        return false;
    }
    const char *name_at = p;
    if (p >= members->end || *p != '"' || !skip_string(&p, members->end)) {
        return false;
    }
    *name = (struct text){name_at + 1, (size_t)(p - name_at) - 2};
    if (p >= members->end || *p++ != ':') {
        return false;
    }
    const char *value_at = p;
    if (!skip_value(&p, members->end)) {
        return false;
    }
    *value = (struct text){value_at, (size_t)(p - value_at)};
    *members = (struct members){p, members->end, false, false};
    return true;
}

bool json_string(struct text value, struct text *inside) {
    if (value.length < 2 || value.at[0] != '"') {
        return false;
    }
    *inside = (struct text){value.at + 1, value.length - 2};
    return true;
}

bool text_is(struct text text, const char *other) {
    return text.length == strlen(other) && memcmp(text.at, other, text.length) == 0;
}
