// What the parts of the SDK share, and policies do not see.

#ifndef ATTORN_INTERNAL_H
#define ATTORN_INTERNAL_H

#include "attorn_policy.h"

// What went wrong first in this call sticks.
void attorn_problem_begin(void);
void attorn_problem(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool attorn_problem_is(attorn_text *text);

#define ATTORN_FACTS_MAX 32
#define ATTORN_DECLARED_MAX 64
#define ATTORN_COUNTERS_MAX 16

struct attorn_needs {
    exports_attorn_policy_policy_requirements_t all;
};

// The most of a field, or of its kind.
int64_t attorn_field_max(const attorn_field *field);

// Read an object into a struct of this size; what is wrong sticks, with its path.
bool attorn_read_fields(attorn_json object, const attorn_field *fields, void *into, size_t size);
// The same text, if it is UTF-8; else with U+FFFD in the place of each run of bytes that are none.
attorn_text attorn_text_valid(attorn_text text);
// The JSON Schema of an object with these fields.
attorn_text attorn_schema(const attorn_field *fields, const char *title);

// A verdict as the contract has it; false if it is none.
bool attorn_verdict_out(const attorn_verdict *verdict, exports_attorn_policy_policy_verdict_t *out);

// Begin anew, as a fresh sandbox does. For tests.
void attorn_restart(void);

#endif
