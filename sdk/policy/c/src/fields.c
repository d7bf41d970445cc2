// Settings: JSON into structs, by tables of fields. Nothing is converted, and what no field names is a mistake.

#include "internal.h"

#include <string.h>

#define TEXT_BYTES_MAX 4096
#define LIST_MAX 1000

int64_t attorn_field_max(const attorn_field *field) {
    if (field->max != 0) {
        return field->max;
    }
    switch (field->kind) {
    case ATTORN_FIELD_TEXT:
        return TEXT_BYTES_MAX;
    case ATTORN_FIELD_TEXTS:
    case ATTORN_FIELD_OBJECTS:
        return LIST_MAX;
    default:
        return ATTORN_NUMBER_MAX;
    }
}

// Where in the settings a value stands; empty at their top.
static attorn_text below(attorn_text path, const char *name) {
    return path.len == 0 ? attorn_text_of(name) : attorn_format("%.*s.%s", ATTORN_ARG(path), name);
}

static bool wrong(attorn_text path, const char *problem) {
    if (path.len == 0) {
        attorn_problem("settings: %s", problem);
    } else {
        attorn_problem("settings: at `%.*s`: %s", ATTORN_ARG(path), problem);
    }
    return false;
}

static bool within(attorn_text path, const attorn_field *field, int64_t number, const char *what) {
    if (number >= field->min && number <= attorn_field_max(field)) {
        return true;
    }
    attorn_problem("settings: at `%.*s`: %lld%s, and %lld to %lld are right", ATTORN_ARG(path), (long long)number, what,
                   (long long)field->min, (long long)attorn_field_max(field));
    return false;
}

static bool checked(attorn_text path, const attorn_field *field, attorn_text text) {
    const char *problem = field->check == NULL ? NULL : field->check(text);
    return problem == NULL || wrong(path, problem);
}

static bool read_text(attorn_text path, const attorn_field *field, attorn_json value, attorn_text *into) {
    if (!attorn_json_text(value, into)) {
        return wrong(path, "it is no text");
    }
    return within(path, field, (int64_t)into->len, " bytes") && checked(path, field, *into);
}

// How many are in a list.
static size_t count(attorn_json list) {
    attorn_json_place place = {0};
    attorn_json value;
    size_t sum = 0;
    while (attorn_json_next(list, &place, NULL, &value)) {
        sum++;
    }
    return sum;
}

static bool read_list(attorn_text path, const attorn_field *field, attorn_json list, size_t *length) {
    if (attorn_json_is(list) != ATTORN_JSON_LIST) {
        return wrong(path, "it is no list");
    }
    *length = count(list);
    return within(path, field, (int64_t)*length, " of them");
}

static bool read_texts(attorn_text path, const attorn_field *field, attorn_json list, attorn_texts *into) {
    size_t length;
    if (!read_list(path, field, list, &length)) {
        return false;
    }
    *into = (attorn_texts){attorn_new(length, sizeof(attorn_text)), length};
    attorn_json_place place = {0};
    attorn_json value;
    for (size_t at = 0; attorn_json_next(list, &place, NULL, &value); at++) {
        attorn_text here = attorn_format("%.*s[%zu]", ATTORN_ARG(path), at);
        if (!attorn_json_text(value, &into->ptr[at])) {
            return wrong(here, "it is no text");
        }
        if (into->ptr[at].len > TEXT_BYTES_MAX) {
            return wrong(here, "it has more than 4096 bytes");
        }
        if (!checked(here, field, into->ptr[at])) {
            return false;
        }
    }
    return true;
}

static bool read_object(attorn_text path, const attorn_field *fields, attorn_json object, uint8_t *into, size_t size);

static bool read_objects(attorn_text path, const attorn_field *field, attorn_json list, attorn_objects *into) {
    size_t length;
    if (!read_list(path, field, list, &length)) {
        return false;
    }
    *into = (attorn_objects){attorn_new(length, field->size), length};
    attorn_json_place place = {0};
    attorn_json value;
    for (size_t at = 0; attorn_json_next(list, &place, NULL, &value); at++) {
        attorn_text here = attorn_format("%.*s[%zu]", ATTORN_ARG(path), at);
        if (!read_object(here, field->fields, value, (uint8_t *)into->at + at * field->size, field->size)) {
            return false;
        }
    }
    return true;
}

static bool read_one_of(attorn_text path, const attorn_field *field, attorn_json value, int *into) {
    attorn_text text;
    bool is_text = attorn_json_text(value, &text);
    for (*into = 0; is_text && field->names[*into] != NULL; ++*into) {
        if (attorn_text_is(text, field->names[*into])) {
            return true;
        }
    }
    attorn_text names = {NULL, 0};
    for (int at = 0; field->names[at] != NULL; at++) {
        names = attorn_format("%.*s%s`%s`", ATTORN_ARG(names), at == 0 ? "" : ", ", field->names[at]);
    }
    attorn_problem("settings: at `%.*s`: it is none of %.*s", ATTORN_ARG(path), ATTORN_ARG(names));
    return false;
}

static bool read_field(attorn_text path, const attorn_field *field, attorn_json value, uint8_t *into) {
    switch (field->kind) {
    case ATTORN_FIELD_TEXT:
        return read_text(path, field, value, (attorn_text *)(void *)into);
    case ATTORN_FIELD_TEXTS:
        return read_texts(path, field, value, (attorn_texts *)(void *)into);
    case ATTORN_FIELD_INTEGER: {
        int64_t *integer = (int64_t *)(void *)into;
        if (!attorn_json_integer(value, integer)) {
            return wrong(path, "it is no whole number that every reader of JSON knows");
        }
        return within(path, field, *integer, "");
    }
    case ATTORN_FIELD_BOOLEAN:
        return attorn_json_boolean(value, (bool *)(void *)into) || wrong(path, "it is neither `true` nor `false`");
    case ATTORN_FIELD_ONE_OF:
        return read_one_of(path, field, value, (int *)(void *)into);
    case ATTORN_FIELD_OBJECT:
        return read_object(path, field->fields, value, into, field->size);
    case ATTORN_FIELD_OBJECTS:
        return read_objects(path, field, value, (attorn_objects *)(void *)into);
    case ATTORN_FIELD_END:
        break;
    }
    return wrong(path, "its field is of no kind");
}

static const attorn_field *find(const attorn_field *fields, attorn_text name) {
    while (fields->kind != ATTORN_FIELD_END && !attorn_text_is(name, fields->name)) {
        fields++;
    }
    return fields->kind == ATTORN_FIELD_END ? NULL : fields;
}

// A name that nobody knows may be long.
static bool unknown(attorn_text path, attorn_text name) {
    attorn_text cut = name;
    if (cut.len > 64) {
        // Cut within a character it would be no text at all.
        for (cut.len = 64; cut.len > 0 && (cut.ptr[cut.len] & 0xc0) == 0x80; cut.len--) {
        }
    }
    attorn_text whole = path.len == 0 ? cut : attorn_format("%.*s.%.*s", ATTORN_ARG(path), ATTORN_ARG(cut));
    attorn_problem("settings: at `%.*s`: unknown field `%.*s`", ATTORN_ARG(whole), ATTORN_ARG(cut));
    return false;
}

// How many bytes of a struct a field is.
static size_t width(const attorn_field *field) {
    switch (field->kind) {
    case ATTORN_FIELD_TEXT:
        return sizeof(attorn_text);
    case ATTORN_FIELD_TEXTS:
        return sizeof(attorn_texts);
    case ATTORN_FIELD_INTEGER:
        return sizeof(int64_t);
    case ATTORN_FIELD_BOOLEAN:
        return sizeof(bool);
    case ATTORN_FIELD_ONE_OF:
        return sizeof(int);
    case ATTORN_FIELD_OBJECT:
        return field->size;
    case ATTORN_FIELD_OBJECTS:
        return sizeof(attorn_objects);
    case ATTORN_FIELD_END:
        break;
    }
    return 0;
}

// Whether all fields lie in a struct of this size. A compiler does not know which struct a table is for: one of another
// would have what lies behind it written over.
static bool fits(attorn_text path, const attorn_field *fields, size_t size) {
    for (; fields->kind != ATTORN_FIELD_END; fields++) {
        // No larger than all there is, so that no sum runs over.
        bool is_in = fields->at <= size && width(fields) <= size - fields->at && fields->has <= size;
        if (!is_in) {
            return wrong(below(path, fields->name), "its field lies outside of the struct: the table is of another");
        }
    }
    return true;
}

static bool read_object(attorn_text path, const attorn_field *fields, attorn_json object, uint8_t *into, size_t size) {
    if (!fits(path, fields, size)) {
        return false;
    }
    if (attorn_json_is(object) != ATTORN_JSON_OBJECT) {
        return wrong(path, "it is no object");
    }
    attorn_json_place place = {0};
    attorn_text name;
    attorn_json value;
    while (attorn_json_next(object, &place, &name, &value)) {
        const attorn_field *field = find(fields, name);
        if (field == NULL) {
            return unknown(path, name);
        }
        attorn_json first = attorn_json_member_of(object, name);
        if (first.text.ptr != value.text.ptr) {
            return wrong(below(path, field->name), "it is there twice");
        }
    }
    for (const attorn_field *field = fields; field->kind != ATTORN_FIELD_END; field++) {
        attorn_json found = attorn_json_member(object, field->name);
        bool is_there = attorn_json_is(found) != ATTORN_JSON_NONE;
        if (field->has != 0) {
            *(bool *)(void *)(into + field->has - 1) = is_there;
        } else if (!is_there) {
            return wrong(path, (const char *)attorn_format("missing field `%s`", field->name).ptr);
        }
        if (is_there && !read_field(below(path, field->name), field, found, into + field->at)) {
            return false;
        }
    }
    return true;
}

bool attorn_read_fields(attorn_json object, const attorn_field *fields, void *into, size_t size) {
    return read_object((attorn_text){NULL, 0}, fields, object, into, size);
}
