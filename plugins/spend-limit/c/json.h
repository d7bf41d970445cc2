// Reading JSON in the canonical form of RFC 8785, which is what the host hands over: no blanks, each name
// once, and no character escaped that need not be. So names and plain values are compared byte by byte.
//
// It checks what it steps over as far as it has to in order to find the end of it, and nothing more.

#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

// A part of a text that belongs to somebody else.
struct text {
    const char *at;
    size_t length;
};

// The members of an object, one after the other.
struct members {
    const char *at;
    const char *end;
    bool first;
    bool broken;
};

// Whether this is an object; then its members follow.
bool json_object(struct text json, struct members *members);

// The next member: its name without quotes, as written, and its value. False at the end, or where the
// text is broken, which `members->broken` says.
bool json_next(struct members *members, struct text *name, struct text *value);

// Whether the value is a string; then what stands between its quotes, as written.
bool json_string(struct text value, struct text *inside);

bool text_is(struct text text, const char *other);

#endif
