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

// A sandbox has one thread and runs one policy.
static bool has_problem;
static attorn_text problem;

void attorn_problem_begin(void) {
    has_problem = false;
}

static void keep(const char *format, va_list arguments) {
    if (!has_problem) {
        has_problem = true;
        problem = attorn_format_list(format, arguments);
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
    attorn_text message = attorn_format_list(format, arguments);
    va_end(arguments);
    attorn_policy_log_write(level, &message);
}
