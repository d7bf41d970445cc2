// The JSON Schema (2020-12) of settings, out of the same tables that they are read by.

#include "internal.h"

#include <string.h>

typedef struct out {
    uint8_t *at;
    size_t len;
    size_t room;
} out;

static void put(out *o, const char *text, size_t length) {
    if (o->room - o->len < length) {
        size_t room = (o->room + length) * 2;
        uint8_t *wider = attorn_new(room, 1);
        memcpy(wider, o->at, o->len);
        o->at = wider;
        o->room = room;
    }
    memcpy(o->at + o->len, text, length);
    o->len += length;
}

static void write(out *o, const char *text) {
    put(o, text, strlen(text));
}

static void write_integer(out *o, const char *name, int64_t number) {
    attorn_text text = attorn_format(",\"%s\":%lld", name, (long long)number);
    put(o, (const char *)text.ptr, text.len);
}

static void quote(out *o, const char *text) {
    write(o, "\"");
    for (; *text != 0; text++) {
        if (*text == '"' || *text == '\\') {
            put(o, "\\", 1);
            put(o, text, 1);
        } else if ((unsigned char)*text < 0x20) {
            attorn_text escaped = attorn_format("\\u%04x", (unsigned)*text);
            put(o, (const char *)escaped.ptr, escaped.len);
        } else {
            put(o, text, 1);
        }
    }
    write(o, "\"");
}

static void write_object(out *o, const attorn_field *fields);

static void write_field(out *o, const attorn_field *field) {
    write(o, "{");
    switch (field->kind) {
    case ATTORN_FIELD_TEXT:
        // In bytes, which are no fewer than characters: what the schema refuses is refused here, too.
        write(o, "\"type\":\"string\"");
        write_integer(o, "maxLength", attorn_field_max(field));
        break;
    case ATTORN_FIELD_TEXTS:
        write(o, "\"type\":\"array\",\"items\":{\"type\":\"string\"}");
        write_integer(o, "minItems", field->min);
        write_integer(o, "maxItems", attorn_field_max(field));
        break;
    case ATTORN_FIELD_INTEGER:
        write(o, "\"type\":\"integer\"");
        write_integer(o, "minimum", field->min);
        write_integer(o, "maximum", attorn_field_max(field));
        break;
    case ATTORN_FIELD_BOOLEAN:
        write(o, "\"type\":\"boolean\"");
        break;
    case ATTORN_FIELD_ONE_OF:
        write(o, "\"enum\":[");
        for (int at = 0; field->names[at] != NULL; at++) {
            write(o, at == 0 ? "" : ",");
            quote(o, field->names[at]);
        }
        write(o, "]");
        break;
    case ATTORN_FIELD_OBJECT:
        write_object(o, field->fields);
        break;
    case ATTORN_FIELD_OBJECTS:
        write(o, "\"type\":\"array\",\"items\":{");
        write_object(o, field->fields);
        write(o, "}");
        write_integer(o, "minItems", field->min);
        write_integer(o, "maxItems", attorn_field_max(field));
        break;
    case ATTORN_FIELD_END:
        break;
    }
    if (field->description != NULL) {
        write(o, ",\"description\":");
        quote(o, field->description);
    }
    write(o, "}");
}

static void write_object(out *o, const attorn_field *fields) {
    write(o, "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
    for (const attorn_field *field = fields; field->kind != ATTORN_FIELD_END; field++) {
        write(o, field == fields ? "" : ",");
        quote(o, field->name);
        write(o, ":");
        write_field(o, field);
    }
    write(o, "},\"required\":[");
    bool is_first = true;
    for (const attorn_field *field = fields; field->kind != ATTORN_FIELD_END; field++) {
        if (field->has == 0) {
            write(o, is_first ? "" : ",");
            quote(o, field->name);
            is_first = false;
        }
    }
    write(o, "]");
}

attorn_text attorn_schema(const attorn_field *fields, const char *title) {
    out o = {attorn_new(1024, 1), 0, 1024};
    write(&o, "{\"title\":");
    quote(&o, title);
    write(&o, ",");
    write_object(&o, fields);
    write(&o, "}");
    return (attorn_text){o.at, o.len};
}
