// Attorn policies in C. See the README.
//
// A policy is a table of its settings' fields and one function, which says what it makes of a request. What goes wrong
// sticks: from then on the call ends with an error, whatever the function returns, and an error denies. So no return value
// that nobody looked at can become an allow.
//
// Nothing has to be freed. Each decision starts from a copy of what `init` left, and all of its memory goes with it.

#ifndef ATTORN_POLICY_H
#define ATTORN_POLICY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy_component.h"

#ifdef __cplusplus
extern "C" {
#endif

// The largest number that goes either way between host and policy: 2^53 - 1.
#define ATTORN_NUMBER_MAX INT64_C(9007199254740991)

// ---- Texts and memory

// A text: UTF-8, `len` bytes, and no zero at its end.
typedef policy_component_string_t attorn_text;

// Texts: `ptr`, `len`.
typedef policy_component_list_string_t attorn_texts;

// A text of a literal, and one of a string of C.
#define ATTORN_TEXT(literal) ((attorn_text){(uint8_t *)("" literal), sizeof(literal) - 1})
attorn_text attorn_text_of(const char *string);

// For `%.*s` of `printf`.
#define ATTORN_ARG(text) (int)(text).len, (const char *)(text).ptr

// Whether two texts are the same, byte by byte; the same with a string of C; whether it is one of some texts.
bool attorn_text_same(attorn_text one, attorn_text other);
bool attorn_text_is(attorn_text text, const char *string);
bool attorn_texts_have(attorn_texts texts, attorn_text text);

// A text that is made as `printf` does, of as many bytes as it takes.
attorn_text attorn_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
attorn_text attorn_format_list(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

// `count` zeroed things of `size` bytes. Where there is no memory left it traps, which denies: it never gives NULL.
void *attorn_new(size_t count, size_t size);

// ---- JSON

// A value of a JSON text that was found whole. One that is not there is of the kind `ATTORN_JSON_NONE`, and reading it as
// anything says false, so that steps into a text can be taken without looking at each.
typedef struct attorn_json {
    attorn_text text;
} attorn_json;

typedef enum attorn_json_kind {
    ATTORN_JSON_NONE,
    ATTORN_JSON_NULL,
    ATTORN_JSON_BOOLEAN,
    ATTORN_JSON_NUMBER,
    ATTORN_JSON_TEXT,
    ATTORN_JSON_LIST,
    ATTORN_JSON_OBJECT,
} attorn_json_kind;

// Read a whole text. False if it is no JSON, or nests more than 64 deep.
bool attorn_json_read(attorn_text text, attorn_json *value);

attorn_json_kind attorn_json_is(attorn_json value);

// The member of this name; none if there is none, or it is no object.
attorn_json attorn_json_member(attorn_json object, const char *name);
attorn_json attorn_json_member_of(attorn_json object, attorn_text name);

// Step through a list or an object: begin with a zeroed place. `name` may be NULL; in a list it is empty.
typedef struct attorn_json_place {
    size_t at;
} attorn_json_place;
bool attorn_json_next(attorn_json container, attorn_json_place *place, attorn_text *name, attorn_json *value);

// Whether it is one, and which. An integer is from -(2^53 - 1) to 2^53 - 1, without fraction or exponent.
bool attorn_json_boolean(attorn_json value, bool *boolean);
bool attorn_json_integer(attorn_json value, int64_t *integer);
bool attorn_json_text(attorn_json value, attorn_text *text);

// ---- What a policy is given. What each field means stands in `policy_component.h`.

typedef exports_attorn_policy_policy_context_t attorn_context;
typedef exports_attorn_policy_policy_user_t attorn_user;
typedef exports_attorn_policy_policy_counter_t attorn_counter;

// The user on whose behalf the agent acts; NULL when it acts on its own authority.
const attorn_user *attorn_user_of(const attorn_context *ctx);

// The arguments, which are what is executed; and the user's claims that the provider's configuration lets through, none
// without a user. There is deliberately nothing that reads `claimed_properties`: nobody checked them, and a policy that
// rests on them lets the agent decide.
attorn_json attorn_arguments(const attorn_context *ctx);
attorn_json attorn_claims(const attorn_context *ctx);

// The fact of this template, which has to be among the requirements. None if it is missing: nobody pushed one, it expired,
// or a field of the template is empty. That nobody knows must not mean that all is well.
attorn_json attorn_fact(const attorn_context *ctx, const char *template_);

// What was debited of a counter in its window. It has to be among the requirements.
uint64_t attorn_used(const attorn_context *ctx, const char *counter);

// Whether the registrar set this label of the agent's, and to what.
bool attorn_label(const attorn_context *ctx, const char *name, attorn_text *value);

// What is asked for that is no token.
//
// `postgresql` is a login in a database: whoever holds one can do all that it can, as often as they like while it lives,
// and arguments are none. `proxy` gives the agent nothing: if this is allowed, the request goes on to the target's
// service, once, with what is in its arguments. There may be others.
typedef struct attorn_wanted {
    attorn_text kind;
    // Where it would be made or where the request would go; empty if the resource's type is tied to no target.
    attorn_text target;
} attorn_wanted;

// False where a token is asked for, which is good for what is decided here and nothing else.
bool attorn_wanted_credential(const attorn_context *ctx, attorn_wanted *wanted);

// ---- Settings

typedef enum attorn_field_kind {
    ATTORN_FIELD_END,
    ATTORN_FIELD_TEXT,
    ATTORN_FIELD_TEXTS,
    ATTORN_FIELD_INTEGER,
    ATTORN_FIELD_BOOLEAN,
    ATTORN_FIELD_ONE_OF,
    ATTORN_FIELD_OBJECT,
    ATTORN_FIELD_OBJECTS,
} attorn_field_kind;

// Objects of one kind: `count` of them.
typedef struct attorn_objects {
    void *at;
    size_t count;
} attorn_objects;

// A member of an object, and where it goes in a struct. Make it by one of the macros below, and end a table of them with
// `ATTORN_END`. A member that no field names is a mistake, and nothing is converted.
typedef struct attorn_field {
    const char *name;
    attorn_field_kind kind;
    size_t at;
    // One more than where the `bool` is that says whether it was there; 0 if it has to be.
    size_t has;
    // Of a text, bytes; of texts and objects, how many; of an integer, which. A `max` of 0 is that of the kind.
    int64_t min;
    int64_t max;
    // The texts that it is one of; what is kept is which.
    const char *const *names;
    // Of an object.
    const struct attorn_field *fields;
    size_t size;
    // What is wrong with a text, or with each of some texts; NULL if nothing.
    const char *(*check)(attorn_text text);
    // For people, in the JSON Schema.
    const char *description;
} attorn_field;

// Where a member is, if it has this type; it does not compile otherwise.
#define ATTORN_AT(type, member, kind) (offsetof(type, member) + 0 * sizeof(_Generic(((type *)0)->member, kind: 0)))
// For an optional one: `ATTORN_OPTIONAL(struct settings, has_limit)`.
#define ATTORN_OPTIONAL(type, member) .has = 1 + ATTORN_AT(type, member, bool)

// An `attorn_text`, of 0 to 4096 bytes if nothing is said.
#define ATTORN_TEXT_FIELD(type, member, ...) \
    {.name = #member, .kind = ATTORN_FIELD_TEXT, .at = ATTORN_AT(type, member, attorn_text), __VA_ARGS__}
// `attorn_texts`, 0 to 1000 of them, of at most 4096 bytes each.
#define ATTORN_TEXTS_FIELD(type, member, ...) \
    {.name = #member, .kind = ATTORN_FIELD_TEXTS, .at = ATTORN_AT(type, member, attorn_texts), __VA_ARGS__}
// An `int64_t`, from 0 to 2^53 - 1.
#define ATTORN_INTEGER_FIELD(type, member, ...) \
    {.name = #member, .kind = ATTORN_FIELD_INTEGER, .at = ATTORN_AT(type, member, int64_t), __VA_ARGS__}
// A `bool`.
#define ATTORN_BOOLEAN_FIELD(type, member, ...) \
    {.name = #member, .kind = ATTORN_FIELD_BOOLEAN, .at = ATTORN_AT(type, member, bool), __VA_ARGS__}
// An `int`: which of some strings, that end with NULL, it is.
#define ATTORN_ONE_OF_FIELD(type, member, texts, ...) \
    {.name = #member, .kind = ATTORN_FIELD_ONE_OF, .at = ATTORN_AT(type, member, int), .names = texts, __VA_ARGS__}
// A struct, with fields of its own: `table` is for the struct that the member is, which no compiler knows. A field that lies
// outside of it has the settings refused.
#define ATTORN_OBJECT_FIELD(type, member, table, ...)                                        \
    {.name = #member, .kind = ATTORN_FIELD_OBJECT, .at = offsetof(type, member),             \
     .size = sizeof(((type *)0)->member), .fields = table, __VA_ARGS__}
// `attorn_objects`, 0 to 1000 structs of the type `item`, which `table` is for.
#define ATTORN_OBJECTS_FIELD(type, member, item, table, ...)                                       \
    {.name = #member, .kind = ATTORN_FIELD_OBJECTS, .at = ATTORN_AT(type, member, attorn_objects), \
     .size = sizeof(item), .fields = table, __VA_ARGS__}
#define ATTORN_END {.kind = ATTORN_FIELD_END}

// Checks for texts that are patterns of actions or of resources.
const char *attorn_check_action_pattern(attorn_text text);
const char *attorn_check_resource_pattern(attorn_text text);

// ---- Reasons and requirements

// A reason that a policy may give. The code is stable, because clients match on it: small letters, digits and `_`, at most
// 64. The text is what it means, at most 256 characters. One that is not public is read by operators and auditors alone.
typedef struct attorn_reason {
    const char *code;
    const char *text;
    bool is_public;
} attorn_reason;

#define ATTORN_PUBLIC_REASON(code, text) {(code), (text), true}
#define ATTORN_PRIVATE_REASON(code, text) {(code), (text), false}

typedef enum attorn_window {
    ATTORN_MINUTE = EXPORTS_ATTORN_POLICY_POLICY_WINDOW_MINUTE,
    ATTORN_HOUR = EXPORTS_ATTORN_POLICY_POLICY_WINDOW_HOUR,
    ATTORN_DAY = EXPORTS_ATTORN_POLICY_POLICY_WINDOW_DAY,
    ATTORN_MONTH = EXPORTS_ATTORN_POLICY_POLICY_WINDOW_MONTH,
    ATTORN_TOTAL = EXPORTS_ATTORN_POLICY_POLICY_WINDOW_TOTAL,
} attorn_window;

typedef enum attorn_scope {
    ATTORN_AGENT = EXPORTS_ATTORN_POLICY_POLICY_SCOPE_AGENT,
    ATTORN_USER = EXPORTS_ATTORN_POLICY_POLICY_SCOPE_USER,
    ATTORN_USER_AGENT = EXPORTS_ATTORN_POLICY_POLICY_SCOPE_USER_AGENT,
    ATTORN_ROOT_DELEGATION = EXPORTS_ATTORN_POLICY_POLICY_SCOPE_ROOT_DELEGATION,
    ATTORN_SESSION = EXPORTS_ATTORN_POLICY_POLICY_SCOPE_SESSION,
} attorn_scope;

// What a policy needs under its settings.
typedef struct attorn_needs attorn_needs;

// This fact: a template such as `user/{user.id}/risk`. At most 32.
void attorn_need_fact(attorn_needs *needs, const char *template_);
// This counter, which the policy may debit. At most 16. `unit` says what one count means: `requests`, `cents`.
void attorn_need_counter(attorn_needs *needs, const char *name, const char *unit, attorn_scope scope,
                         attorn_window window);
// This reason, which depends on the settings, beside those of the policy. At most 64 in all.
void attorn_need_reason(attorn_needs *needs, const attorn_reason *reason);

// ---- Verdicts

typedef enum attorn_kind {
    // What a zeroed one is. It is no answer.
    ATTORN_NOTHING,
    ATTORN_ALLOW,
    ATTORN_CHALLENGE,
    ATTORN_DENY,
    ATTORN_ABSTAIN,
    ATTORN_FAILURE,
} attorn_kind;

#define ATTORN_REASONS_MAX 16
#define ATTORN_APPROVERS_MAX 8
#define ATTORN_DEBITS_MAX 16
#define ATTORN_OBLIGATIONS_MAX 16

// What a policy says. Make it by the functions below.
typedef struct attorn_verdict {
    attorn_kind kind;
    size_t reasons_count;
    exports_attorn_policy_policy_reason_t reasons[ATTORN_REASONS_MAX];
    size_t approvers_count;
    exports_attorn_policy_policy_approval_requirement_t approvers[ATTORN_APPROVERS_MAX];
    size_t debits_count;
    exports_attorn_policy_policy_debit_t debits[ATTORN_DEBITS_MAX];
    size_t obligations_count;
    exports_attorn_policy_policy_obligation_t obligations[ATTORN_OBLIGATIONS_MAX];
    // 0 if nothing was said.
    uint64_t grant_ms_max;
    uint32_t uses_max;
} attorn_verdict;

// Yes, on no terms but the host's own; add terms and reasons.
attorn_verdict attorn_allow(void);
// Only with an approval; say whose by `attorn_approved_by`, at least once.
attorn_verdict attorn_challenge(const attorn_reason *why);
// No. One deny is enough, whatever other policies say.
attorn_verdict attorn_deny(const attorn_reason *why);
// This request is not this policy's business.
attorn_verdict attorn_abstain(void);
// The policy cannot answer. It denies, and the text is kept with the decision record; the agent never reads it. In `start`
// it refuses the settings.
attorn_verdict attorn_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// And this is why, for an allow or a deny; with a text of its own, at most 512 characters, which says what it means here.
void attorn_because(attorn_verdict *verdict, const attorn_reason *why);
void attorn_because_text(attorn_verdict *verdict, const attorn_reason *why, attorn_text text);

// Terms of an allow or a challenge. The grant may live no longer than this, in milliseconds: `ATTORN_SECONDS(30)`.
void attorn_for_at_most(attorn_verdict *verdict, uint64_t grant_ms);
// It may be used no more often than this. Once, if this is not called.
void attorn_uses(attorn_verdict *verdict, uint32_t uses);
// Charge a declared counter: `amount` is 1 or more of its unit, and it must not pass `at_most` in its window.
void attorn_debit(attorn_verdict *verdict, const char *counter, uint64_t amount, uint64_t at_most);
// The enforcement point must do this; if none can, the decision is a deny. The parameters are one JSON object.
void attorn_oblige(attorn_verdict *verdict, const char *kind, attorn_text parameters);

// Of a challenge: `people` distinct people in this role have to approve, 1 to 16: `user`, `operator`, or a group's name.
void attorn_approved_by(attorn_verdict *verdict, attorn_text role, uint32_t people);
// The same for members of a group; `user` and `operator`, which are roles, are mistakes here.
void attorn_approved_by_group(attorn_verdict *verdict, attorn_text name, uint32_t people);

// ---- Amounts, times, patterns

// An amount of whole minor units, 1 or more: an integer up to 2^53 - 1, or a text of decimal digits up to 2^63 - 1 without
// sign, blank or leading zero. Anything else is none: nothing is rounded, and nothing is read that another reader could
// read as another amount.
bool attorn_amount(attorn_json value, uint64_t *amount);

// A time, taken apart.
typedef struct attorn_time {
    int64_t year;
    // 1 to 12, 1 to 31, 0 to 23, 0 to 59, 0 to 59.
    int month, day, hour, minute, second;
    // 1 is Monday, 7 is Sunday, as in ISO 8601.
    int weekday;
} attorn_time;

// What a time such as `ctx->time` is in UTC, or as clocks show it that are so many minutes ahead. There are no time zones
// in a policy: their rules change, and the same decision would come out another way.
attorn_time attorn_utc(uint64_t time_ms);
attorn_time attorn_time_at(uint64_t time_ms, int offset_minutes);

// Milliseconds of so many.
#define ATTORN_SECONDS(count) (UINT64_C(1000) * (count))
#define ATTORN_MINUTES(count) (UINT64_C(60000) * (count))
#define ATTORN_HOURS(count) (UINT64_C(3600000) * (count))
#define ATTORN_DAYS(count) (UINT64_C(86400000) * (count))

// Whether this is a pattern: exact, `account.*` (of resources `account/*`) for all below, or `*`.
bool attorn_is_action_pattern(attorn_text text);
bool attorn_is_resource_pattern(attorn_text text);
// Whether a pattern covers what stands in a request. What is no pattern is a mistake, and covers nothing.
bool attorn_action_matches(attorn_text pattern, attorn_text action);
bool attorn_resource_matches(attorn_text pattern, attorn_text resource);

// ---- Log

// Write to the decision record, within a limit. It cannot fail.
void attorn_log(attorn_policy_log_level_t level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define attorn_log_debug(...) attorn_log(ATTORN_POLICY_LOG_LEVEL_DEBUG, __VA_ARGS__)
#define attorn_log_info(...) attorn_log(ATTORN_POLICY_LOG_LEVEL_INFO, __VA_ARGS__)
#define attorn_log_warn(...) attorn_log(ATTORN_POLICY_LOG_LEVEL_WARN, __VA_ARGS__)
#define attorn_log_error(...) attorn_log(ATTORN_POLICY_LOG_LEVEL_ERROR, __VA_ARGS__)

// ---- The policy

typedef struct attorn_policy {
    // 1 to 64 characters, and semver.
    const char *name;
    const char *version;
    // The fields of the settings, and the size of the struct that they are read into.
    const attorn_field *settings;
    size_t settings_size;
    // The reasons that it may give, whatever the settings; the last is NULL.
    const attorn_reason *const *reasons;
    // What else has to hold of the settings (`attorn_fail` refuses them), what is worked out of them once, and what is
    // needed under them. May be NULL.
    void (*start)(void *settings, attorn_needs *needs);
    // What it says to a request.
    attorn_verdict (*evaluate)(const attorn_context *ctx, const void *settings);
} attorn_policy;

// Each project defines it.
extern const attorn_policy policy;

#ifdef __cplusplus
}
#endif

#endif
