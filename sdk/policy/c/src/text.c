// Texts, memory, and what went wrong.

#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *attorn_new(size_t count, size_t size) {
    void *made = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
    if (made == NULL) {
        __builtin_trap();
    }
    return made;
}

attorn_text attorn_text_of(const char *string) {
    return (attorn_text){(uint8_t *)string, strlen(string)};
}

bool attorn_text_same(attorn_text one, attorn_text other) {
    return one.len == other.len && (one.len == 0 || memcmp(one.ptr, other.ptr, one.len) == 0);
}

bool attorn_text_is(attorn_text text, const char *string) {
    return attorn_text_same(text, attorn_text_of(string));
}

bool attorn_texts_have(attorn_texts texts, attorn_text text) {
    for (size_t at = 0; at < texts.len; at++) {
        if (attorn_text_same(texts.ptr[at], text)) {
            return true;
        }
    }
    return false;
}

attorn_text attorn_format_list(const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0) {
        __builtin_trap();
    }
    char *made = attorn_new((size_t)length + 1, 1);
    vsnprintf(made, (size_t)length + 1, format, again);
    va_end(again);
    return (attorn_text){(uint8_t *)made, (size_t)length};
}

attorn_text attorn_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    attorn_text made = attorn_format_list(format, arguments);
    va_end(arguments);
    return made;
}

// How many bytes of UTF-8 the character is that begins there; 0 if none does.
static size_t character(const uint8_t *at, size_t left) {
    static const struct {
        uint8_t from, to, second_from, second_to;
        size_t len;
    } KINDS[] = {
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t kind = 0; kind < sizeof KINDS / sizeof *KINDS; kind++) {
        if (at[0] < KINDS[kind].from || at[0] > KINDS[kind].to) {
            continue;
        }
        size_t len = KINDS[kind].len;
        bool is_whole = len <= left && (len == 1 || (at[1] >= KINDS[kind].second_from && at[1] <= KINDS[kind].second_to));
        for (size_t next = 2; is_whole && next < len; next++) {
            is_whole = (at[next] & 0xc0) == 0x80;
        }
        return is_whole ? len : 0;
    }
    return 0;
}

attorn_text attorn_text_valid(attorn_text text) {
    static const uint8_t REPLACEMENT[] = {0xef, 0xbf, 0xbd};
    // Between two bytes that are none there is one at least that is kept, so three times as many is always enough.
    uint8_t *made = attorn_new(text.len, sizeof REPLACEMENT);
    size_t len = 0;
    bool is_run = false;
    for (size_t at = 0, next; at < text.len; at += next == 0 ? 1 : next) {
        next = character(text.ptr + at, text.len - at);
        if (next != 0) {
            memcpy(made + len, text.ptr + at, next);
            len += next;
        } else if (!is_run) {
            memcpy(made + len, REPLACEMENT, sizeof REPLACEMENT);
            len += sizeof REPLACEMENT;
        }
        is_run = next == 0;
    }
    return (attorn_text){made, len};
}

// A sandbox has one thread and runs one policy.
static bool has_problem;
static attorn_text problem;

void attorn_problem_begin(void) {
    has_problem = false;
}

static void keep(const char *format, va_list arguments) {
    if (!has_problem) {
        has_problem = true;
        // What leaves the policy and is no text would end it without a word.
        problem = attorn_text_valid(attorn_format_list(format, arguments));
    }
}

void attorn_problem(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    keep(format, arguments);
    va_end(arguments);
}

bool attorn_problem_is(attorn_text *text) {
    *text = problem;
    return has_problem;
}

attorn_verdict attorn_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    keep(format, arguments);
    va_end(arguments);
    return (attorn_verdict){.kind = ATTORN_FAILURE};
}

void attorn_log(attorn_policy_log_level_t level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    attorn_text message = attorn_text_valid(attorn_format_list(format, arguments));
    va_end(arguments);
    attorn_policy_log_write(level, &message);
}
