// Amounts, times and patterns: what policies are about again and again, and what is easily got wrong.

#include "internal.h"

#include <string.h>

bool attorn_amount(attorn_json value, uint64_t *amount) {
    int64_t integer;
    if (attorn_json_integer(value, &integer)) {
        *amount = (uint64_t)integer;
        return integer >= 1;
    }
    attorn_text digits;
    // 19 digits fit into 64 bits, whatever they are.
    if (!attorn_json_text(value, &digits) || digits.len == 0 || digits.len > 19 || digits.ptr[0] == '0') {
        return false;
    }
    uint64_t sum = 0;
    for (size_t at = 0; at < digits.len; at++) {
        if (digits.ptr[at] < '0' || digits.ptr[at] > '9') {
            return false;
        }
        sum = sum * 10 + (uint64_t)(digits.ptr[at] - '0');
    }
    *amount = sum;
    // What readers with a sign bit hold, too.
    return sum <= INT64_MAX;
}

static bool is_leap(int64_t year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

attorn_time attorn_time_at(uint64_t time_ms, int offset_minutes) {
    int64_t seconds = (int64_t)(time_ms / 1000) + (int64_t)offset_minutes * 60;
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    // 1970-01-01 was a Thursday.
    int64_t weekday = (days + 3) % 7;
    attorn_time time = {.hour = (int)(rest / 3600), .minute = (int)(rest / 60 % 60), .second = (int)(rest % 60)};
    time.weekday = (int)(weekday < 0 ? weekday + 7 : weekday) + 1;
    // Four centuries are always as many days; no time here takes more than a few steps from there.
    int64_t centuries = days / 146097;
    int64_t year = 1970 + centuries * 400;
    days -= centuries * 146097;
    while (days < 0) {
        year--;
        days += is_leap(year) ? 366 : 365;
    }
    for (int length; days >= (length = is_leap(year) ? 366 : 365); year++) {
        days -= length;
    }
    static const int MONTHS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int month = 0;
    for (int length; month < 11 && days >= (length = MONTHS[month] + (month == 1 && is_leap(year) ? 1 : 0)); month++) {
        days -= length;
    }
    time.year = year;
    time.month = month + 1;
    time.day = (int)days + 1;
    return time;
}

attorn_time attorn_utc(uint64_t time_ms) {
    return attorn_time_at(time_ms, 0);
}

// How a path is written.
typedef struct grammar {
    char separator;
    // Of a path without a wildcard.
    size_t segments_min;
    size_t segments_max;
    size_t bytes_max;
    bool (*first)(uint8_t byte);
    bool (*rest)(uint8_t byte);
} grammar;

static bool is_lower(uint8_t b) {
    return (b >= 'a' && b <= 'z') || (b >= '0' && b <= '9') || b == '-' || b == '_';
}

static bool is_word(uint8_t b) {
    return is_lower(b) || (b >= 'A' && b <= 'Z');
}

static bool is_of_resource(uint8_t b) {
    return is_word(b) || (b != 0 && strchr(".~:@+=", b) != NULL);
}

static const grammar ACTION = {'.', 1, 8, 128, is_word, is_word};
static const grammar RESOURCE = {'/', 2, 16, 256, is_lower, is_of_resource};

static bool is_segment(attorn_text segment, bool (*allowed)(uint8_t byte)) {
    for (size_t at = 0; at < segment.len; at++) {
        if (!allowed(segment.ptr[at])) {
            return false;
        }
    }
    return segment.len > 0 && !attorn_text_is(segment, ".") && !attorn_text_is(segment, "..");
}

static bool is_pattern(const grammar *g, attorn_text path) {
    if (attorn_text_is(path, "*")) {
        return true;
    }
    size_t segments_min = g->segments_min;
    if (path.len >= 2 && path.ptr[path.len - 1] == '*' && path.ptr[path.len - 2] == g->separator) {
        path.len -= 2;
        segments_min = 1;
    }
    if (path.len == 0 || path.len > g->bytes_max) {
        return false;
    }
    size_t from = 0, count = 0;
    for (size_t at = 0; at <= path.len; at++) {
        if (at < path.len && path.ptr[at] != g->separator) {
            continue;
        }
        if (!is_segment((attorn_text){path.ptr + from, at - from}, count == 0 ? g->first : g->rest)) {
            return false;
        }
        count++;
        from = at + 1;
    }
    return count >= segments_min && count <= g->segments_max;
}

static bool covers(attorn_text pattern, attorn_text path) {
    if (pattern.len == 0 || pattern.ptr[pattern.len - 1] != '*') {
        return attorn_text_same(pattern, path);
    }
    // The separator stays: `account/` is no prefix of `accounts/1`. Something follows it.
    size_t prefix = pattern.len - 1;
    return path.len > prefix && (prefix == 0 || memcmp(path.ptr, pattern.ptr, prefix) == 0);
}

bool attorn_is_action_pattern(attorn_text text) {
    return is_pattern(&ACTION, text);
}

bool attorn_is_resource_pattern(attorn_text text) {
    return is_pattern(&RESOURCE, text);
}

const char *attorn_check_action_pattern(attorn_text text) {
    return attorn_is_action_pattern(text)
               ? NULL
               : "it is no pattern of actions, such as `account.read`, `account.*` or `*`";
}

const char *attorn_check_resource_pattern(attorn_text text) {
    return attorn_is_resource_pattern(text)
               ? NULL
               : "it is no pattern of resources, such as `account/42`, `account/*` or `*`";
}

static bool matches(attorn_text pattern, attorn_text path, const char *problem) {
    if (problem != NULL) {
        attorn_problem("`%.*s`: %s", ATTORN_ARG(pattern), problem);
        return false;
    }
    return covers(pattern, path);
}

bool attorn_action_matches(attorn_text pattern, attorn_text action) {
    return matches(pattern, action, attorn_check_action_pattern(pattern));
}

bool attorn_resource_matches(attorn_text pattern, attorn_text resource) {
    return matches(pattern, resource, attorn_check_resource_pattern(pattern));
}
