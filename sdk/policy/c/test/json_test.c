#include "tests.h"

#include <string.h>

static attorn_json read(const char *text) {
    attorn_json value;
    EXPECT(attorn_json_read(attorn_text_of(text), &value));
    return value;
}

static bool is_json(const char *text) {
    attorn_json value;
    return attorn_json_read(attorn_text_of(text), &value);
}

static void what_is_no_json_is_refused(void) {
    const char *const BAD[] = {"",       " ",       "{",         "}",         "[1,]",   "[1 2]",      "{\"a\":}",
                               "{\"a\"", "{a:1}",   "{\"a\":1,}", "01",        "1.",     ".5",         "-",
                               "1e",     "+1",      "tru",       "nulll",     "\"",     "\"\\x\"",    "\"\\u12\"",
                               "\"\n\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "{} {}", "1 1", "[\"a\" \"b\"]"};
    for (size_t at = 0; at < sizeof BAD / sizeof *BAD; at++) {
        if (is_json(BAD[at])) {
            attorn_tested_expect(BAD[at], "no JSON", __FILE__, __LINE__);
        }
    }
    char deep[200];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    attorn_json value;
    EXPECT(!attorn_json_read((attorn_text){(uint8_t *)deep, 200}, &value));
    EXPECT(attorn_json_is(value) == ATTORN_JSON_NONE);
    EXPECT(attorn_json_read((attorn_text){(uint8_t *)deep + 50, 100}, &value));
}

static void values_are_what_they_are(void) {
    attorn_json all = read(" { \"t\" : \"a\\u00e9\\n\\ud83d\\ude00\\\"\" , \"n\":[ 1 , -2,9007199254740991 ],\"b\":false,"
                           "\"z\":null,\"o\":{\"t\":1}, \"e\":[], \"x\\ty\":2} ");
    attorn_text text;
    int64_t integer;
    bool boolean = true;
    EXPECT(attorn_json_text(attorn_json_member(all, "t"), &text) && attorn_text_is(text, "aé\n😀\""));
    EXPECT(attorn_json_boolean(attorn_json_member(all, "b"), &boolean) && !boolean);
    EXPECT(attorn_json_is(attorn_json_member(all, "z")) == ATTORN_JSON_NULL);
    EXPECT(attorn_json_is(attorn_json_member(all, "nothing")) == ATTORN_JSON_NONE);
    EXPECT(attorn_json_integer(attorn_json_member(attorn_json_member(all, "o"), "t"), &integer) && integer == 1);
    EXPECT(!attorn_json_integer(attorn_json_member(attorn_json_member(all, "t"), "t"), &integer));
    EXPECT(attorn_json_integer(attorn_json_member(all, "x\ty"), &integer) && integer == 2);

    int64_t expected[] = {1, -2, ATTORN_NUMBER_MAX};
    attorn_json_place place = {0};
    attorn_json one;
    size_t count = 0;
    while (attorn_json_next(attorn_json_member(all, "n"), &place, NULL, &one)) {
        EXPECT(attorn_json_integer(one, &integer) && integer == expected[count]);
        count++;
    }
    EXPECT(count == 3);
    place = (attorn_json_place){0};
    EXPECT(!attorn_json_next(attorn_json_member(all, "e"), &place, NULL, &one));
    EXPECT(!attorn_json_next(attorn_json_member(all, "z"), &place, NULL, &one));
}

static void a_number_that_two_readers_could_read_as_two_is_none(void) {
    int64_t integer;
    const char *const NONE[] = {"1.0", "1e3", "9007199254740992", "-9007199254740992", "99999999999999999999999", "\"1\"", "true"};
    for (size_t at = 0; at < sizeof NONE / sizeof *NONE; at++) {
        EXPECT(!attorn_json_integer(read(NONE[at]), &integer));
    }
}

void test_json(void) {
    what_is_no_json_is_refused();
    values_are_what_they_are();
    a_number_that_two_readers_could_read_as_two_is_none();
}
