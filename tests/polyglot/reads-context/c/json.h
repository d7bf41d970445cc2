// Walking through JSON that is known to be whole and in canonical form, which is what the host hands over.
// What is hostile would lead it astray: it is for measuring alone.

#ifndef JSON_H
#define JSON_H

#include <stddef.h>

// Past one value.
const char *json_skip(const char *value);

// The value of a member of an object; null if it has none of this name.
const char *json_member(const char *object, const char *name);

// The first element or member of an array or object, or null; and the one after a value, or null.
const char *json_first(const char *collection);
const char *json_after(const char *value);

// How many bytes stand between the quotes of a string.
size_t json_length(const char *string);

#endif
