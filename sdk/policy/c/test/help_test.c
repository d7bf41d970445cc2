#include "../src/internal.h"
#include "tests.h"

#include <string.h>

static bool amount(const char *text, uint64_t *found) {
    attorn_json value;
    EXPECT(attorn_json_read(attorn_text_of(text), &value));
    return attorn_amount(value, found);
}

static void what_is_no_amount_is_none(void) {
    const char *const NONE[] = {
        "0", "-0", "-1", "1.5", "1.0", "1e3", "9007199254740992", "18446744073709551616", "null", "true", "[]", "{}",
        "\"\"", "\"0\"", "\"00\"", "\"01\"", "\"-1\"", "\"+1\"", "\" 1\"", "\"1 \"", "\"1\\n\"", "\"1.0\"", "\"1e3\"",
        "\"0x10\"", "\"1_000\"", "\"٣\"", "\"9223372036854775808\"", "\"18446744073709551616\"",
        "\"99999999999999999999999\""};
    uint64_t found;
    for (size_t at = 0; at < sizeof NONE / sizeof *NONE; at++) {
        if (amount(NONE[at], &found)) {
            attorn_tested_expect(NONE[at], "no amount", __FILE__, __LINE__);
        }
    }
    EXPECT(!attorn_amount((attorn_json){{NULL, 0}}, &found));
    EXPECT(amount("1", &found) && found == 1);
    EXPECT(amount("9007199254740991", &found) && found == (uint64_t)ATTORN_NUMBER_MAX);
    EXPECT(amount("\"9007199254740993\"", &found) && found == UINT64_C(9007199254740993));
    EXPECT(amount("\"9223372036854775807\"", &found) && found == INT64_MAX);
}

static void times_are_those_of_the_calendar(void) {
    static const struct {
        uint64_t ms;
        int offset;
        attorn_time time;
    } TIMES[] = {
        {0, 0, {1970, 1, 1, 0, 0, 0, 4}},
        {0, -90, {1969, 12, 31, 22, 30, 0, 3}},
        {1767603600000, 0, {2026, 1, 5, 9, 0, 0, 1}},
        {1767603600999, 60, {2026, 1, 5, 10, 0, 0, 1}},
        {1709164799000, 0, {2024, 2, 28, 23, 59, 59, 3}},
        {1709164800000, 0, {2024, 2, 29, 0, 0, 0, 4}},
        {1709164800000, 1440, {2024, 3, 1, 0, 0, 0, 5}},
        {4107456000000, 0, {2100, 2, 28, 0, 0, 0, 7}},
        {4107542400000, 0, {2100, 3, 1, 0, 0, 0, 1}},
        {951782400000, 0, {2000, 2, 29, 0, 0, 0, 2}},
        {1798761599000, 0, {2026, 12, 31, 23, 59, 59, 4}},
        {9007199254740991, 0, {287396, 10, 12, 8, 59, 0, 3}},
    };
    for (size_t at = 0; at < sizeof TIMES / sizeof *TIMES; at++) {
        attorn_time is = attorn_time_at(TIMES[at].ms, TIMES[at].offset), expected = TIMES[at].time;
        attorn_text said[2];
        attorn_time both[] = {is, expected};
        for (int n = 0; n < 2; n++) {
            said[n] = attorn_format("%lld-%d-%d %d:%d:%d %d", (long long)both[n].year, both[n].month, both[n].day,
                                    both[n].hour, both[n].minute, both[n].second, both[n].weekday);
        }
        ATTORN_EXPECT((const char *)said[0].ptr, (const char *)said[1].ptr);
    }
    EXPECT(ATTORN_MINUTES(5) == 300000 && ATTORN_HOURS(1) == 3600000 && ATTORN_DAYS(1) == 86400000);
}

static attorn_verdict no_pattern(const attorn_context *ctx) {
    return attorn_action_matches(ATTORN_TEXT("faq*"), ctx->request.action) ? attorn_allow() : attorn_allow();
}

typedef struct kind {
    const char *name;
    bool (*is)(attorn_text text);
    bool (*matches)(attorn_text pattern, attorn_text path);
} kind;

static size_t each(attorn_json row, const char *name, const kind *of, attorn_text pattern, bool expected) {
    attorn_json_place place = {0};
    attorn_json one;
    attorn_text path;
    size_t count = 0;
    while (attorn_json_next(attorn_json_member(row, name), &place, NULL, &one)) {
        EXPECT(attorn_json_text(one, &path) && of->matches(pattern, path) == expected);
        count++;
    }
    return count;
}

static void patterns_are_the_hosts(const char *vectors) {
    static const kind KINDS[] = {
        {"actions", attorn_is_action_pattern, attorn_action_matches},
        {"resources", attorn_is_resource_pattern, attorn_resource_matches},
    };
    attorn_json all;
    EXPECT(attorn_json_read(attorn_text_of(vectors), &all));
    size_t refused = 0, covered = 0;
    for (size_t at = 0; at < 2; at++) {
        attorn_json kind = attorn_json_member(all, KINDS[at].name);
        attorn_json_place place = {0};
        attorn_json row;
        attorn_text text;
        while (attorn_json_next(attorn_json_member(kind, "refused"), &place, NULL, &row)) {
            EXPECT(attorn_json_text(row, &text) && !KINDS[at].is(text));
            refused++;
        }
        place = (attorn_json_place){0};
        while (attorn_json_next(attorn_json_member(kind, "covers"), &place, NULL, &row)) {
            EXPECT(attorn_json_text(attorn_json_member(row, "pattern"), &text) && KINDS[at].is(text));
            covered += each(row, "yes", &KINDS[at], text, true) + each(row, "no", &KINDS[at], text, false);
        }
    }
    EXPECT(refused > 30 && covered > 30);
    ATTORN_EXPECT(tested_says(no_pattern),
                  "failed: `faq*`: it is no pattern of actions, such as `account.read`, `account.*` or `*`");
}

// As Go's `ToValidUTF8` does it, so that policies say the same in both.
static void what_is_no_text_is_replaced(void) {
    static const char *const TEXTS[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf"},
        {"\xff", "\xef\xbf\xbd"},
        {"\xff\xfe\x80" "a", "\xef\xbf\xbd" "a"},
        {"a\xff" "b\xff", "a\xef\xbf\xbd" "b\xef\xbf\xbd"},
        // Cut within a character.
        {"a\xe2\x82", "a\xef\xbf\xbd"},
        {"\xe2" "a\xf0\x9f\x98", "\xef\xbf\xbd" "a\xef\xbf\xbd"},
        // Longer than it has to be, half of a pair, beyond the last.
        {"\xc0\xaf.\xe0\x80\xaf.\xed\xa0\x80.\xf4\x90\x80\x80.\xf5",
         "\xef\xbf\xbd.\xef\xbf\xbd.\xef\xbf\xbd.\xef\xbf\xbd.\xef\xbf\xbd"},
    };
    for (size_t at = 0; at < sizeof TEXTS / sizeof *TEXTS; at++) {
        // With exactly as many bytes, so that reading one more is found out.
        attorn_text text = attorn_text_of(TEXTS[at][0]);
        attorn_text copy = {attorn_new(text.len, 1), text.len};
        memcpy(copy.ptr, text.ptr, text.len);
        EXPECT(attorn_text_is(attorn_text_valid(copy), TEXTS[at][1]));
    }
}

static attorn_verdict says_no_text(const attorn_context *ctx) {
    (void)ctx;
    return attorn_fail("odd: %s", "\xff\xff!");
}

void test_help(const char *vectors) {
    what_is_no_text_is_replaced();
    ATTORN_EXPECT(tested_says(says_no_text), "failed: odd: \xef\xbf\xbd!");

    what_is_no_amount_is_none();
    times_are_those_of_the_calendar();
    patterns_are_the_hosts(vectors);
}
