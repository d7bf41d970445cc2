// Reading JSON (RFC 8259). The whole text is checked once; values are parts of it from then on.

#include "internal.h"

#include <string.h>

// The host refuses what nests more than 32 deep.
#define DEPTH_MAX 64

typedef struct cursor {
    const uint8_t *at;
    const uint8_t *end;
} cursor;

static void skip_blanks(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) {
        c->at++;
    }
}

static bool take(cursor *c, uint8_t byte) {
    bool is = c->at < c->end && *c->at == byte;
    c->at += is ? 1 : 0;
    return is;
}

static bool take_word(cursor *c, const char *word) {
    size_t length = strlen(word);
    bool is = (size_t)(c->end - c->at) >= length && memcmp(c->at, word, length) == 0;
    c->at += is ? length : 0;
    return is;
}

static bool is_digit(cursor *c) {
    return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

static bool take_digits(cursor *c) {
    bool is = is_digit(c);
    while (is_digit(c)) {
        c->at++;
    }
    return is;
}

static bool take_number(cursor *c) {
    take(c, '-');
    if (!take(c, '0') && !take_digits(c)) {
        return false;
    }
    if (take(c, '.') && !take_digits(c)) {
        return false;
    }
    if (take(c, 'e') || take(c, 'E')) {
        if (!take(c, '+')) {
            take(c, '-');
        }
        return take_digits(c);
    }
    return true;
}

static int hex(uint8_t byte) {
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

// The four digits of `\u`.
static bool take_unit(cursor *c, uint32_t *unit) {
    *unit = 0;
    for (int digit = 0; digit < 4; digit++) {
        int value = c->at < c->end ? hex(*c->at) : -1;
        if (value < 0) {
            return false;
        }
        *unit = *unit << 4 | (uint32_t)value;
        c->at++;
    }
    return true;
}

// What follows a backslash, as a character.
static bool take_escape(cursor *c, uint32_t *character) {
    static const char NAMES[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
    uint8_t name = c->at < c->end ? *c->at++ : 0;
    const char *found = name == 0 ? NULL : strchr(NAMES, name);
    if (found != NULL) {
        *character = (uint8_t)MEANT[found - NAMES];
        return true;
    }
    if (name != 'u' || !take_unit(c, character)) {
        return false;
    }
    if (*character >= 0xd800 && *character <= 0xdbff) {
        // Half a character alone is none.
        uint32_t low;
        if (!take_word(c, "\\u") || !take_unit(c, &low) || low < 0xdc00 || low > 0xdfff) {
            return false;
        }
        *character = 0x10000 + ((*character - 0xd800) << 10) + (low - 0xdc00);
        return true;
    }
    return *character < 0xdc00 || *character > 0xdfff;
}

static bool take_text(cursor *c) {
    if (!take(c, '"')) {
        return false;
    }
    while (c->at < c->end && *c->at != '"') {
        if (*c->at < 0x20) {
            return false;
        }
        uint32_t character;
        if (take(c, '\\')) {
            if (!take_escape(c, &character)) {
                return false;
            }
        } else {
            c->at++;
        }
    }
    return take(c, '"');
}

static bool take_value(cursor *c, int depth);

static bool take_member(cursor *c, int depth) {
    skip_blanks(c);
    if (!take_text(c)) {
        return false;
    }
    skip_blanks(c);
    return take(c, ':') && take_value(c, depth);
}

static bool take_all(cursor *c, uint8_t close, bool (*one)(cursor *, int), int depth) {
    skip_blanks(c);
    if (take(c, close)) {
        return true;
    }
    do {
        if (!one(c, depth)) {
            return false;
        }
        skip_blanks(c);
    } while (take(c, ','));
    return take(c, close);
}

static bool take_value(cursor *c, int depth) {
    skip_blanks(c);
    if (c->at >= c->end || depth > DEPTH_MAX) {
        return false;
    }
    switch (*c->at) {
    case '{':
        c->at++;
        return take_all(c, '}', take_member, depth + 1);
    case '[':
        c->at++;
        return take_all(c, ']', take_value, depth + 1);
    case '"':
        return take_text(c);
    case 't':
        return take_word(c, "true");
    case 'f':
        return take_word(c, "false");
    case 'n':
        return take_word(c, "null");
    default:
        return take_number(c);
    }
}

static attorn_json part(const uint8_t *from, const uint8_t *to) {
    return (attorn_json){{(uint8_t *)from, (size_t)(to - from)}};
}

bool attorn_json_read(attorn_text text, attorn_json *value) {
    *value = (attorn_json){{NULL, 0}};
    if (text.len == 0) {
        return false;
    }
    cursor c = {text.ptr, text.ptr + text.len};
    skip_blanks(&c);
    const uint8_t *from = c.at;
    if (!take_value(&c, 0)) {
        return false;
    }
    const uint8_t *to = c.at;
    skip_blanks(&c);
    if (c.at != c.end) {
        return false;
    }
    *value = part(from, to);
    return true;
}

attorn_json_kind attorn_json_is(attorn_json value) {
    if (value.text.len == 0) {
        return ATTORN_JSON_NONE;
    }
    switch (value.text.ptr[0]) {
    case '{':
        return ATTORN_JSON_OBJECT;
    case '[':
        return ATTORN_JSON_LIST;
    case '"':
        return ATTORN_JSON_TEXT;
    case 't':
    case 'f':
        return ATTORN_JSON_BOOLEAN;
    case 'n':
        return ATTORN_JSON_NULL;
    default:
        return ATTORN_JSON_NUMBER;
    }
}

bool attorn_json_next(attorn_json container, attorn_json_place *place, attorn_text *name, attorn_json *value) {
    attorn_json_kind kind = attorn_json_is(container);
    if (kind != ATTORN_JSON_OBJECT && kind != ATTORN_JSON_LIST) {
        return false;
    }
    const uint8_t *begin = container.text.ptr;
    // The closing bracket stays outside.
    cursor c = {begin + (place->at == 0 ? 1 : place->at), begin + container.text.len - 1};
    skip_blanks(&c);
    if (place->at != 0 && take(&c, ',')) {
        skip_blanks(&c);
    }
    if (c.at >= c.end) {
        return false;
    }
    attorn_text found = {NULL, 0};
    if (kind == ATTORN_JSON_OBJECT) {
        const uint8_t *from = c.at;
        if (!take_text(&c) || !attorn_json_text(part(from, c.at), &found)) {
            return false;
        }
        skip_blanks(&c);
        take(&c, ':');
        skip_blanks(&c);
    }
    const uint8_t *from = c.at;
    if (!take_value(&c, 0)) {
        return false;
    }
    *value = part(from, c.at);
    if (name != NULL) {
        *name = found;
    }
    place->at = (size_t)(c.at - begin);
    return true;
}

attorn_json attorn_json_member_of(attorn_json object, attorn_text name) {
    attorn_json_place place = {0};
    attorn_text found;
    attorn_json value;
    while (attorn_json_is(object) == ATTORN_JSON_OBJECT && attorn_json_next(object, &place, &found, &value)) {
        if (attorn_text_same(found, name)) {
            return value;
        }
    }
    return (attorn_json){{NULL, 0}};
}

attorn_json attorn_json_member(attorn_json object, const char *name) {
    return attorn_json_member_of(object, attorn_text_of(name));
}

bool attorn_json_boolean(attorn_json value, bool *boolean) {
    if (attorn_json_is(value) != ATTORN_JSON_BOOLEAN) {
        return false;
    }
    *boolean = value.text.ptr[0] == 't';
    return true;
}

bool attorn_json_integer(attorn_json value, int64_t *integer) {
    if (attorn_json_is(value) != ATTORN_JSON_NUMBER) {
        return false;
    }
    cursor c = {value.text.ptr, value.text.ptr + value.text.len};
    bool is_negative = take(&c, '-');
    int64_t sum = 0;
    for (; is_digit(&c); c.at++) {
        sum = sum * 10 + (*c.at - '0');
        if (sum > ATTORN_NUMBER_MAX) {
            return false;
        }
    }
    // A fraction or an exponent follows.
    if (c.at != c.end) {
        return false;
    }
    *integer = is_negative ? -sum : sum;
    return true;
}

static size_t put(uint8_t *to, uint32_t character) {
    if (character < 0x80) {
        to[0] = (uint8_t)character;
        return 1;
    }
    if (character < 0x800) {
        to[0] = (uint8_t)(0xc0 | character >> 6);
        to[1] = (uint8_t)(0x80 | (character & 0x3f));
        return 2;
    }
    if (character < 0x10000) {
        to[0] = (uint8_t)(0xe0 | character >> 12);
        to[1] = (uint8_t)(0x80 | (character >> 6 & 0x3f));
        to[2] = (uint8_t)(0x80 | (character & 0x3f));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | character >> 18);
    to[1] = (uint8_t)(0x80 | (character >> 12 & 0x3f));
    to[2] = (uint8_t)(0x80 | (character >> 6 & 0x3f));
    to[3] = (uint8_t)(0x80 | (character & 0x3f));
    return 4;
}

bool attorn_json_text(attorn_json value, attorn_text *text) {
    if (attorn_json_is(value) != ATTORN_JSON_TEXT || value.text.len < 2) {
        return false;
    }
    cursor c = {value.text.ptr + 1, value.text.ptr + value.text.len - 1};
    size_t length = (size_t)(c.end - c.at);
    if (length == 0 || memchr(c.at, '\\', length) == NULL) {
        *text = (attorn_text){(uint8_t *)c.at, length};
        return true;
    }
    // No escape is shorter than what it stands for.
    uint8_t *made = attorn_new(length, 1);
    size_t count = 0;
    while (c.at < c.end) {
        uint32_t character;
        if (!take(&c, '\\')) {
            made[count++] = *c.at++;
        } else if (take_escape(&c, &character)) {
            count += put(made + count, character);
        } else {
            return false;
        }
    }
    *text = (attorn_text){made, count};
    return true;
}
