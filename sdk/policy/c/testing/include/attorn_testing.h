// Testing a policy where it is written, without WebAssembly or a host.
//
// It bounds neither time nor memory: for the real sandbox, run the policy's cases. There is one policy in a program, so
// `attorn_tested_start` may be called again and again.

#ifndef ATTORN_TESTING_H
#define ATTORN_TESTING_H

#include "attorn_policy.h"

// What the host makes of these settings: NULL, or what they are refused with. `needs` may be NULL.
const char *attorn_tested_start(const char *settings, exports_attorn_policy_policy_requirements_t *needs);

// What came of it: what it said and the codes of its reasons (`deny not_listed`), or `failed: ` and why. That its reasons
// and counters are declared is checked, as the host does. `verdict` may be NULL.
const char *attorn_tested_says(const attorn_context *ctx, exports_attorn_policy_policy_verdict_t *verdict);

// A context in which the agent `test-agent` wants this, on its own authority and without arguments, on Monday,
// 2026-01-05T09:00:00Z. Change what the test is about.
attorn_context attorn_tested_context(const char *action, const char *resource);

// Put a user with this id into it, without groups and claims, who authenticated an hour before.
void attorn_tested_user(attorn_context *ctx, const char *id);

// Put a fact of this template into it; without a value (NULL) it is missing. And a counter.
void attorn_tested_fact(attorn_context *ctx, const char *template_, const char *value);
void attorn_tested_counter(attorn_context *ctx, const char *name, uint64_t used);

// End the program with 1, saying where, unless the texts are the same.
#define ATTORN_EXPECT(said, expected) attorn_tested_expect((said), (expected), __FILE__, __LINE__)
void attorn_tested_expect(const char *said, const char *expected, const char *file, int line);

#endif
