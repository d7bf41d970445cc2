#include "tests.h"

#define GOOD "\"actions\":[\"a\"],\"cents\":5,\"currency\":\"EUR\",\"strict\":true,\"window\":\"day\""

static attorn_verdict allow(const attorn_context *ctx) {
    (void)ctx;
    return attorn_allow();
}

static void each_mistake_is_said_with_its_place(void) {
    const char *const REFUSED[][2] = {
        {"", "settings: they are no JSON"},
        {"[]", "settings: it is no object"},
        {"null", "settings: it is no object"},
        {"{}", "settings: missing field `currency`"},
        {"{" GOOD ",\"cent\":1}", "settings: at `cent`: unknown field `cent`"},
        {"{" GOOD ",\"cents\":6}", "settings: at `cents`: it is there twice"},
        {"{" GOOD ",\"limit\":null}", "settings: at `limit`: it is no object"},
        {"{" GOOD ",\"limit\":{}}", "settings: at `limit`: missing field `max`"},
        {"{" GOOD ",\"limit\":{\"max\":0}}", "settings: at `limit.max`: 0, and 1 to 9007199254740991 are right"},
        {"{" GOOD ",\"limit\":{\"max\":1.5}}",
         "settings: at `limit.max`: it is no whole number that every reader of JSON knows"},
        {"{" GOOD ",\"limit\":{\"max\":9,\"role\":1}}", "settings: at `limit.role`: unknown field `role`"},
        {"{" GOOD ",\"limit\":{\"max\":4}}", "settings: at `limit.max`: it is below `cents`"},
        {"{" GOOD ",\"rules\":[{\"actions\":[\"a\"]},{\"actions\":[\"a b\"]}]}",
         "settings: at `rules[1].actions[0]`: it is no pattern of actions, such as `account.read`, `account.*` or `*`"},
        {"{" GOOD ",\"rules\":[{\"actions\":[]}]}",
         "settings: at `rules[0].actions`: 0 of them, and 1 to 1000 are right"},
        {"{" GOOD ",\"rules\":{}}", "settings: at `rules`: it is no list"},
        {"{\"currency\":\"EURO\"}", "settings: at `currency`: 4 bytes, and 3 to 3 are right"},
        {"{\"currency\":7}", "settings: at `currency`: it is no text"},
        {"{\"actions\":[1],\"currency\":\"EUR\"}", "settings: at `actions[0]`: it is no text"},
        {"{\"actions\":[],\"cents\":-1,\"currency\":\"EUR\"}",
         "settings: at `cents`: -1, and 0 to 9007199254740991 are right"},
        {"{\"actions\":[],\"cents\":1,\"currency\":\"EUR\",\"strict\":1}",
         "settings: at `strict`: it is neither `true` nor `false`"},
        {"{\"actions\":[],\"cents\":1,\"currency\":\"EUR\",\"strict\":true,\"window\":\"week\"}",
         "settings: at `window`: it is none of `hour`, `day`"},
    };
    tested_evaluate = allow;
    attorn_context ctx = attorn_tested_context("faq.read", "article/42");
    for (size_t at = 0; at < sizeof REFUSED / sizeof *REFUSED; at++) {
        ATTORN_EXPECT(attorn_tested_start(REFUSED[at][0], NULL), REFUSED[at][1]);
        ATTORN_EXPECT(attorn_tested_says(&ctx, NULL), "failed: evaluate was called before init");
    }
}

static void good_ones_are_taken_once(void) {
    exports_attorn_policy_policy_requirements_t needs;
    ATTORN_EXPECT(attorn_tested_start("{" GOOD "}", &needs), NULL);
    EXPECT(needs.facts.len == 1 && attorn_text_is(needs.facts.ptr[0], "user/{user.id}/risk"));
    EXPECT(needs.counters.len == 1 && needs.counters.ptr[0].scope == EXPORTS_ATTORN_POLICY_POLICY_SCOPE_USER_AGENT);
    EXPECT(needs.reasons.len == 2 && attorn_text_is(needs.reasons.ptr[1].code, "bad") && !needs.reasons.ptr[1].public_);
    attorn_text text = ATTORN_TEXT("{" GOOD "}"), problem;
    EXPECT(!exports_attorn_policy_policy_init(&text, &needs, &problem));
    EXPECT(attorn_text_is(problem, "init was called twice"));
    ATTORN_EXPECT(attorn_tested_start("{" GOOD ",\"limit\":{\"max\":5},\"rules\":[{\"actions\":[\"a.*\"]}]}", NULL), NULL);
}

static void a_policy_describes_itself_without_settings(void) {
    exports_attorn_policy_policy_description_t said;
    exports_attorn_policy_policy_describe(&said);
    EXPECT(attorn_text_is(said.name, "tested") && attorn_text_is(said.version, "1.2.3"));
    attorn_json schema;
    EXPECT(attorn_json_read(said.settings_schema, &schema));
    attorn_json properties = attorn_json_member(schema, "properties");
    attorn_json max = attorn_json_member(attorn_json_member(attorn_json_member(properties, "limit"), "properties"), "max");
    attorn_text text;
    int64_t least;
    EXPECT(attorn_json_text(attorn_json_member(max, "description"), &text) && attorn_text_is(text, "At \"most\"."));
    EXPECT(attorn_json_integer(attorn_json_member(max, "minimum"), &least) && least == 1);
    attorn_json_place place = {0};
    attorn_json one;
    size_t count = 0;
    while (attorn_json_next(attorn_json_member(schema, "required"), &place, NULL, &one)) {
        count++;
    }
    EXPECT(count == 5);
}

void test_settings(void) {
    each_mistake_is_said_with_its_place();
    good_ones_are_taken_once();
    a_policy_describes_itself_without_settings();
}
