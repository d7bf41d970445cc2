// The tests of the SDK: one file each, run one after the other.

#ifndef TESTS_H
#define TESTS_H

#include "attorn_testing.h"

#define EXPECT(what)                                                             \
    do {                                                                         \
        if (!(what)) {                                                           \
            attorn_tested_expect("it does not hold", #what, __FILE__, __LINE__); \
        }                                                                        \
    } while (0)

// What the policy of these tests says; each test sets it.
extern attorn_verdict (*tested_evaluate)(const attorn_context *ctx);
const char *tested_says(attorn_verdict (*evaluate)(const attorn_context *ctx));

void test_json(void);
void test_settings(void);
void test_verdicts(void);
void test_context(void);
void test_help(const char *vectors);

#endif
