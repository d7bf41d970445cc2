#include "tests.h"

#define SETTINGS "{\"actions\":[\"a\"],\"cents\":5,\"currency\":\"EUR\",\"strict\":true,\"window\":\"day\"}"

const char *tested_says(attorn_verdict (*evaluate)(const attorn_context *ctx)) {
    tested_evaluate = evaluate;
    ATTORN_EXPECT(attorn_tested_start(SETTINGS, NULL), NULL);
    attorn_context ctx = attorn_tested_context("faq.read", "article/42");
    return attorn_tested_says(&ctx, NULL);
}

static const attorn_reason WELL = ATTORN_PUBLIC_REASON("well", "all is well");
static const attorn_reason UNKNOWN = ATTORN_PUBLIC_REASON("unknown", "nobody declared it");

#define SAYS(name, body)                                                \
    static attorn_verdict name(const attorn_context *ctx) {             \
        (void)ctx;                                                      \
        body                                                            \
    }

SAYS(nothing, return (attorn_verdict){0};)
SAYS(failing, attorn_fail("first %d", 1); attorn_fail("second"); return attorn_allow();)
SAYS(on_terms, attorn_verdict v = attorn_allow(); attorn_because(&v, &WELL); attorn_for_at_most(&v, ATTORN_SECONDS(30));
     attorn_uses(&v, 2); attorn_debit(&v, "spent", 5, 10); attorn_oblige(&v, "mask", ATTORN_TEXT("{\"fields\":[1]}"));
     return v;)
SAYS(undeclared, attorn_verdict v = attorn_allow(); attorn_debit(&v, "lent", 5, 10); return v;)
SAYS(unknown_reason, return attorn_deny(&UNKNOWN);)
SAYS(nobody_asked, return attorn_challenge(&WELL);)
SAYS(asked, attorn_verdict v = attorn_challenge(&WELL); attorn_approved_by(&v, ATTORN_TEXT("operator"), 1);
     attorn_approved_by_group(&v, ATTORN_TEXT("/Finance"), 2); return v;)
SAYS(role_as_group, attorn_verdict v = attorn_challenge(&WELL); attorn_approved_by_group(&v, ATTORN_TEXT("user"), 1);
     return v;)
SAYS(too_many_people, attorn_verdict v = attorn_challenge(&WELL); attorn_approved_by(&v, ATTORN_TEXT("user"), 17);
     return v;)
SAYS(denied_on_terms, attorn_verdict v = attorn_deny(&WELL); attorn_uses(&v, 1); return v;)
SAYS(allow_approved, attorn_verdict v = attorn_allow(); attorn_approved_by(&v, ATTORN_TEXT("user"), 1); return v;)
SAYS(no_use, attorn_verdict v = attorn_allow(); attorn_uses(&v, 0); return v;)
SAYS(no_amount, attorn_verdict v = attorn_allow(); attorn_debit(&v, "spent", 0, 10); return v;)
SAYS(too_much, attorn_verdict v = attorn_allow(); attorn_debit(&v, "spent", UINT64_C(1) << 53, 10); return v;)
SAYS(list_as_parameters, attorn_verdict v = attorn_allow(); attorn_oblige(&v, "mask", ATTORN_TEXT("[1]")); return v;)
SAYS(many_reasons, attorn_verdict v = attorn_deny(&WELL); for (int n = 0; n < 16; n++) { attorn_because(&v, &WELL); }
     return v;)
SAYS(many_debits, attorn_verdict v = attorn_allow(); for (int n = 0; n < 17; n++) { attorn_debit(&v, "spent", 1, 9); }
     return v;)
SAYS(many_obligations, attorn_verdict v = attorn_allow();
     for (int n = 0; n < 17; n++) { attorn_oblige(&v, "mask", ATTORN_TEXT("{}")); } return v;)
SAYS(many_approvers, attorn_verdict v = attorn_challenge(&WELL);
     for (int n = 0; n < 9; n++) { attorn_approved_by(&v, ATTORN_TEXT("user"), 1); } return v;)
SAYS(abstaining, return attorn_abstain();)

static void what_does_not_fit_fails_whatever_is_returned(void) {
    ATTORN_EXPECT(tested_says(nothing),
                  "failed: evaluate said nothing: it has to return what `attorn_allow` and the like make");
    ATTORN_EXPECT(tested_says(failing), "failed: first 1");
    ATTORN_EXPECT(tested_says(undeclared), "failed: counter `lent` is not declared");
    ATTORN_EXPECT(tested_says(unknown_reason), "failed: reason `unknown` is not declared");
    ATTORN_EXPECT(tested_says(nobody_asked),
                  "failed: a challenge has to say whose approval is needed: `attorn_approved_by`");
    ATTORN_EXPECT(tested_says(role_as_group), "failed: `user` is a role, and no group goes by its name");
    ATTORN_EXPECT(tested_says(too_many_people), "failed: people: 17 is no whole number from 1 to 16");
    ATTORN_EXPECT(tested_says(denied_on_terms), "failed: only an allow and a challenge have terms");
    ATTORN_EXPECT(tested_says(allow_approved), "failed: only a challenge is approved");
    ATTORN_EXPECT(tested_says(no_use), "failed: uses: 0 is no whole number from 1 to 4294967295");
    ATTORN_EXPECT(tested_says(no_amount), "failed: amount: 0 is no whole number from 1 to 9007199254740991");
    ATTORN_EXPECT(tested_says(too_much),
                  "failed: amount: 9007199254740992 is no whole number from 1 to 9007199254740991");
    ATTORN_EXPECT(tested_says(list_as_parameters), "failed: obligation `mask`: its parameters are no JSON object");
    ATTORN_EXPECT(tested_says(many_reasons), "failed: a verdict has 16 reasons at most");
    ATTORN_EXPECT(tested_says(many_debits), "failed: a verdict has 16 debits at most");
    ATTORN_EXPECT(tested_says(many_obligations), "failed: a verdict has 16 obligations at most");
    ATTORN_EXPECT(tested_says(many_approvers), "failed: a challenge asks for 8 approvals at most");
}

static void verdicts_are_as_they_were_made(void) {
    ATTORN_EXPECT(tested_says(abstaining), "abstain");
    ATTORN_EXPECT(tested_says(on_terms), "allow well");
    attorn_context ctx = attorn_tested_context("faq.read", "article/42");
    exports_attorn_policy_policy_verdict_t verdict;
    ATTORN_EXPECT(attorn_tested_says(&ctx, &verdict), "allow well");
    const exports_attorn_policy_policy_terms_t *terms = &verdict.val.allow.terms;
    EXPECT(terms->grant_ms_max.is_some && terms->grant_ms_max.val == 30000);
    EXPECT(terms->uses_max.is_some && terms->uses_max.val == 2);
    EXPECT(terms->debits.len == 1 && terms->debits.ptr[0].amount == 5 && terms->debits.ptr[0].at_most == 10);
    EXPECT(terms->obligations.len == 1 && attorn_text_is(terms->obligations.ptr[0].parameters, "{\"fields\":[1]}"));
    EXPECT(attorn_text_is(verdict.val.allow.reasons.ptr[0].text, "all is well"));

    ATTORN_EXPECT(tested_says(asked), "challenge well");
    ATTORN_EXPECT(attorn_tested_says(&ctx, &verdict), "challenge well");
    EXPECT(verdict.val.challenge.approvers.len == 2 && verdict.val.challenge.approvers.ptr[1].count == 2);
    EXPECT(!verdict.val.challenge.terms.uses_max.is_some);
}

void test_verdicts(void) {
    what_does_not_fit_fails_whatever_is_returned();
    verdicts_are_as_they_were_made();
}
