package attorn

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// What is said of a field of a struct.
type field struct {
	name     string
	index    int
	optional bool
	doc      string
	min, max *int64
	enum     []string
}

// The fields of a struct that are read, in their order.
func fieldsOf(kind reflect.Type) ([]field, error) {
	var fields []field
	for index := range kind.NumField() {
		one := kind.Field(index)
		tag := one.Tag.Get("json")
		if !one.IsExported() || tag == "-" {
			continue
		}
		name, _, _ := strings.Cut(tag, ",")
		if name == "" {
			name = one.Name
		}
		made := field{
			name: name, index: index, doc: one.Tag.Get("doc"),
			optional: one.Type.Kind() == reflect.Pointer,
		}
		if enum, found := one.Tag.Lookup("enum"); found {
			made.enum = strings.Split(enum, ",")
		}
		for _, bound := range []struct {
			tag  string
			into **int64
		}{{"min", &made.min}, {"max", &made.max}} {
			text, found := one.Tag.Lookup(bound.tag)
			if !found {
				continue
			}
			number, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("the tag `%s` of the field `%s` is no number", bound.tag, name)
			}
			*bound.into = &number
		}
		fields = append(fields, made)
	}
	return fields, nil
}

func (tags field) within(number int64, what string) error {
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	if tags.min != nil {
		least = *tags.min
	}
	if tags.max != nil {
		most = *tags.max
	}
	if number >= least && number <= most {
		return nil
	}
	switch {
	case tags.max == nil:
		return fmt.Errorf("%d%s, and %d or more is right", number, what, least)
	case tags.min == nil:
		return fmt.Errorf("%d%s, and %d is the most", number, what, most)
	default:
		return fmt.Errorf("%d%s, and %d to %d are right", number, what, least, most)
	}
}

func (tags field) text(words string) error {
	if tags.enum != nil && !slices.Contains(tags.enum, words) {
		return fmt.Errorf("it is none of `%s`", strings.Join(tags.enum, "`, `"))
	}
	return tags.within(int64(len(words)), " bytes")
}

// The JSON Schema (2020-12) of settings, by the type that they are read into.
func schemaOf[S any](title string) map[string]any {
	schema := schema(reflect.TypeFor[S](), field{})
	schema["title"] = title
	return schema
}

func schema(kind reflect.Type, tags field) map[string]any {
	made := map[string]any{}
	if tags.doc != "" {
		made["description"] = tags.doc
	}
	bound := func(least, most string) {
		if tags.min != nil {
			made[least] = *tags.min
		}
		if tags.max != nil {
			made[most] = *tags.max
		}
	}
	switch {
	case kind == rawType:
		return made
	case reflect.PointerTo(kind).Implements(fromText):
		made["type"] = "string"
		return made
	case reflect.PointerTo(kind).Implements(unmarshaler):
		return made
	}
	switch kind.Kind() {
	case reflect.Pointer:
		return schema(kind.Elem(), tags)
	case reflect.Bool:
		made["type"] = "boolean"
	case reflect.String:
		made["type"] = "string"
		if tags.enum != nil {
			made["enum"] = tags.enum
		}
		// Bytes are no fewer than characters: what the schema refuses is refused here, too.
		if tags.max != nil {
			made["maxLength"] = *tags.max
		}
	case reflect.Slice:
		made["type"] = "array"
		made["items"] = schema(kind.Elem(), field{enum: tags.enum})
		bound("minItems", "maxItems")
	case reflect.Map:
		made["type"] = "object"
		made["additionalProperties"] = schema(kind.Elem(), field{})
	case reflect.Struct:
		properties, required := map[string]any{}, []string{}
		fields, _ := fieldsOf(kind)
		for _, one := range fields {
			properties[one.name] = schema(kind.Field(one.index).Type, one)
			if !one.optional {
				required = append(required, one.name)
			}
		}
		made["type"], made["additionalProperties"] = "object", false
		made["properties"], made["required"] = properties, required
	default:
		made["type"] = "integer"
		made["maximum"] = int64(NumberMax)
		if kind.Kind() >= reflect.Uint {
			made["minimum"] = 0
		}
		bound("minimum", "maximum")
	}
	return made
}
