// What the cases beside this directory cannot say; those are run in the real engine.

#include "attorn_testing.h"

#include <stdio.h>

#define SETTINGS                                                                                                       \
    "{\"amount_argument\":\"amount\",\"currency_argument\":\"currency\",\"currency\":\"EUR\",\"scope\":\"user_agent\"," \
    "\"window\":\"day\",\"allow_max\":5000,\"challenge\":{\"max\":20000,\"role\":\"operator\",\"count\":1}}"

static attorn_context context(uint64_t used, uint64_t amount) {
    attorn_context ctx = attorn_tested_context("payment.create", "account/42");
    attorn_tested_user(&ctx, "usr-alice");
    attorn_tested_counter(&ctx, "spent_eur", used);
    ctx.request.arguments =
        attorn_format("{\"amount\":\"%llu\",\"currency\":\"EUR\"}", (unsigned long long)amount);
    return ctx;
}

static void no_way_of_spending_passes_a_limit(void) {
    static const uint64_t EACH[] = {1, 2, 4999, 5000, 5001, 19999, 20000, 20001, UINT32_MAX, INT64_MAX};
    static const uint64_t USED[] = {0, 1, 4999, 5000, 5001, 19999, 20000, 20001, UINT64_MAX - 1, UINT64_MAX};
    for (size_t u = 0; u < 10; u++) {
        for (size_t a = 0; a < 10; a++) {
            attorn_context ctx = context(USED[u], EACH[a]);
            uint64_t total;
            bool is_over = __builtin_add_overflow(USED[u], EACH[a], &total) || total > 20000;
            const char *expected = is_over         ? "deny over_limit"
                                   : total <= 5000 ? "allow within_limit"
                                                   : "challenge above_limit";
            exports_attorn_policy_policy_verdict_t verdict;
            ATTORN_EXPECT(attorn_tested_says(&ctx, &verdict), expected);
            if (!is_over) {
                bool is_allow = verdict.tag == EXPORTS_ATTORN_POLICY_POLICY_VERDICT_ALLOW;
                const exports_attorn_policy_policy_terms_t *terms =
                    is_allow ? &verdict.val.allow.terms : &verdict.val.challenge.terms;
                bool is_right = terms->debits.len == 1 && terms->debits.ptr[0].amount == EACH[a] &&
                                terms->debits.ptr[0].at_most == (is_allow ? 5000 : 20000);
                ATTORN_EXPECT(is_right ? "debited" : "debited otherwise", "debited");
            }
        }
    }
}

static void a_host_that_counts_nothing_gets_an_error_and_no_verdict(void) {
    attorn_context ctx = context(0, 1);
    ctx.counters.len = 0;
    ATTORN_EXPECT(attorn_tested_says(&ctx, NULL), "failed: counter `spent_eur` is not among the requirements");
}

int main(void) {
    ATTORN_EXPECT(attorn_tested_start(SETTINGS, NULL), NULL);
    no_way_of_spending_passes_a_limit();
    a_host_that_counts_nothing_gets_an_error_and_no_verdict();
    puts("2 tests passed");
    return 0;
}
