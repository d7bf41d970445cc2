#include "../src/internal.h"
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

// The compiler does not know which struct a table is for.
static void a_table_of_another_struct_writes_nothing_over(void) {
    struct small {
        bool is;
    };
    struct large {
        struct small small;
        int64_t far;
        bool has_far;
    };
    static const attorn_field LARGE[] = {
        ATTORN_INTEGER_FIELD(struct large, far, ATTORN_OPTIONAL(struct large, has_far)),
        ATTORN_END,
    };
    static const attorn_field OBJECT[] = {ATTORN_OBJECT_FIELD(struct large, small, LARGE), ATTORN_END};
    static const attorn_field HAS[] = {
        ATTORN_BOOLEAN_FIELD(struct small, is, ATTORN_OPTIONAL(struct large, has_far)),
        ATTORN_END,
    };
    const char *const OUTSIDE = "its field lies outside of the struct: the table is of another";
    attorn_json settings;
    attorn_text problem;
    const struct {
        const attorn_field *fields;
        const char *text, *place;
        size_t size;
    } REFUSED[] = {
        {LARGE, "{\"far\":7}", "far", sizeof(struct small)},
        {LARGE, "{\"far\":7}", "far", offsetof(struct large, far) + 7},
        {LARGE, "{}", "far", 0},
        {HAS, "{\"is\":true}", "is", sizeof(struct small)},
        {OBJECT, "{\"small\":{\"far\":7}}", "small.far", sizeof(struct large)},
    };
    for (size_t at = 0; at < sizeof REFUSED / sizeof *REFUSED; at++) {
        struct large large = {{false}, 5, false};
        attorn_problem_begin();
        EXPECT(attorn_json_read(attorn_text_of(REFUSED[at].text), &settings));
        EXPECT(!attorn_read_fields(settings, REFUSED[at].fields, &large, REFUSED[at].size));
        EXPECT(attorn_problem_is(&problem) && large.far == 5 && !large.has_far);
        ATTORN_EXPECT((const char *)problem.ptr,
                      (const char *)attorn_format("settings: at `%s`: %s", REFUSED[at].place, OUTSIDE).ptr);
    }
    struct large large = {{false}, 5, false};
    attorn_problem_begin();
    EXPECT(attorn_json_read(attorn_text_of("{\"far\":7}"), &settings));
    EXPECT(attorn_read_fields(settings, LARGE, &large, sizeof large) && large.far == 7 && large.has_far);
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
    a_table_of_another_struct_writes_nothing_over();
    good_ones_are_taken_once();
    a_policy_describes_itself_without_settings();
}
