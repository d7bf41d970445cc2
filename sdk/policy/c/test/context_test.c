#include "tests.h"

#define SETTINGS "{\"actions\":[\"a\"],\"cents\":5,\"currency\":\"EUR\",\"strict\":true,\"window\":\"day\"}"

static attorn_verdict reading(const attorn_context *ctx) {
    int64_t risk;
    attorn_text value;
    attorn_wanted wanted;
    if (attorn_text_is(ctx->request.action, "read.arguments")) {
        return attorn_json_is(attorn_arguments(ctx)) == ATTORN_JSON_OBJECT ? attorn_allow() : attorn_abstain();
    }
    if (attorn_text_is(ctx->request.action, "read.claims")) {
        return attorn_json_is(attorn_claims(ctx)) == ATTORN_JSON_NONE ? attorn_abstain() : attorn_allow();
    }
    if (attorn_text_is(ctx->request.action, "read.risk")) {
        bool is_known = attorn_json_integer(attorn_fact(ctx, "user/{user.id}/risk"), &risk);
        return is_known && risk < 5 ? attorn_allow() : attorn_abstain();
    }
    if (attorn_text_is(ctx->request.action, "read.other")) {
        attorn_fact(ctx, "user/{user.id}/other");
        return attorn_allow();
    }
    if (attorn_text_is(ctx->request.action, "read.spent")) {
        return attorn_used(ctx, "spent") < 100 ? attorn_allow() : attorn_abstain();
    }
    if (attorn_text_is(ctx->request.action, "read.label")) {
        return attorn_label(ctx, "tier", &value) && attorn_text_is(value, "gold") ? attorn_allow() : attorn_abstain();
    }
    if (attorn_text_is(ctx->request.action, "read.wanted")) {
        bool is_login = attorn_wanted_credential(ctx, &wanted) && attorn_text_is(wanted.kind, "postgresql");
        return is_login && attorn_text_is(wanted.target, "tgt") ? attorn_allow() : attorn_abstain();
    }
    return attorn_fail("no such action");
}

static const char *says(const char *action, void (*change)(attorn_context *ctx)) {
    attorn_context ctx = attorn_tested_context(action, "article/42");
    if (change != NULL) {
        change(&ctx);
    }
    return attorn_tested_says(&ctx, NULL);
}

static void risky(attorn_context *ctx) { attorn_tested_fact(ctx, "user/{user.id}/risk", "9"); }
static void safe(attorn_context *ctx) { attorn_tested_fact(ctx, "user/{user.id}/risk", "1"); }
static void unknown(attorn_context *ctx) { attorn_tested_fact(ctx, "user/{user.id}/risk", NULL); }
static void broken(attorn_context *ctx) { attorn_tested_fact(ctx, "user/{user.id}/risk", "{"); }
static void spent(attorn_context *ctx) { attorn_tested_counter(ctx, "spent", 100); }
static void unspent(attorn_context *ctx) { attorn_tested_counter(ctx, "spent", 99); }
static void with_user(attorn_context *ctx) { attorn_tested_user(ctx, "usr-alice"); }
static void with_list(attorn_context *ctx) { ctx->request.arguments = ATTORN_TEXT("[]"); }
static void without(attorn_context *ctx) { ctx->request.arguments = ATTORN_TEXT(""); }

static void gold(attorn_context *ctx) {
    static policy_component_tuple2_string_string_t label;
    label = (policy_component_tuple2_string_string_t){ATTORN_TEXT("tier"), ATTORN_TEXT("gold")};
    ctx->agent.labels.ptr = &label;
    ctx->agent.labels.len = 1;
}

static void extended(attorn_context *ctx, attorn_text value) {
    static exports_attorn_policy_policy_tuple2_string_json_t extension;
    extension = (exports_attorn_policy_policy_tuple2_string_json_t){ATTORN_TEXT("attorn.credential"), value};
    ctx->extensions.ptr = &extension;
    ctx->extensions.len = 1;
}

static void login(attorn_context *ctx) {
    extended(ctx, ATTORN_TEXT("{\"kind\":\"postgresql\",\"later\":[],\"target\":\"tgt\"}"));
}
static void untied(attorn_context *ctx) { extended(ctx, ATTORN_TEXT("{\"kind\":\"postgresql\",\"target\":null}")); }
static void odd(attorn_context *ctx) { extended(ctx, ATTORN_TEXT("{\"kind\":7}")); }

void test_context(void) {
    tested_evaluate = reading;
    ATTORN_EXPECT(attorn_tested_start(SETTINGS, NULL), NULL);
    ATTORN_EXPECT(says("read.arguments", NULL), "allow");
    ATTORN_EXPECT(says("read.arguments", with_list), "failed: arguments: it is no object");
    ATTORN_EXPECT(says("read.arguments", without), "failed: arguments: it is no JSON");
    ATTORN_EXPECT(says("read.claims", NULL), "abstain");
    ATTORN_EXPECT(says("read.claims", with_user), "allow");
    ATTORN_EXPECT(says("read.risk", safe), "allow");
    ATTORN_EXPECT(says("read.risk", risky), "abstain");
    ATTORN_EXPECT(says("read.risk", unknown), "abstain");
    ATTORN_EXPECT(says("read.risk", broken), "failed: fact: it is no JSON");
    // What a host forgot, or a policy misspelt, is no fact that is missing.
    ATTORN_EXPECT(says("read.risk", NULL), "failed: fact `user/{user.id}/risk` is not among the requirements");
    ATTORN_EXPECT(says("read.other", safe), "failed: fact `user/{user.id}/other` is not among the requirements");
    ATTORN_EXPECT(says("read.spent", unspent), "allow");
    ATTORN_EXPECT(says("read.spent", spent), "abstain");
    ATTORN_EXPECT(says("read.spent", NULL), "failed: counter `spent` is not among the requirements");
    ATTORN_EXPECT(says("read.label", NULL), "abstain");
    ATTORN_EXPECT(says("read.label", gold), "allow");
    ATTORN_EXPECT(says("read.wanted", NULL), "abstain");
    ATTORN_EXPECT(says("read.wanted", login), "allow");
    ATTORN_EXPECT(says("read.wanted", untied), "abstain");
    ATTORN_EXPECT(says("read.wanted", odd), "failed: attorn.credential: it is described in a way that is not known here");
}
