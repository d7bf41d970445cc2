package attorn

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A JSON text is read into a value by its type, and nothing is converted. Unlike in encoding/json, names are compared
// whatever their case says, byte by byte; a member that a struct has no field for is a mistake in settings; and a field has
// to be there, unless it is a pointer.
//
// A field's tags: `json` is its name, `doc` is for people, `min` and `max` bound a number, the bytes of a text, or how many
// there are in a list, and `enum` lists what a text may be.

// Validator is for settings, and structs in them, that say what else has to hold.
type Validator interface{ Validate() error }

// How deep values may nest; the host refuses 32.
const depthMax = 64

var (
	rawType       = reflect.TypeFor[json.RawMessage]()
	unmarshaler   = reflect.TypeFor[json.Unmarshaler]()
	fromText      = reflect.TypeFor[encoding.TextUnmarshaler]()
	validatorType = reflect.TypeFor[Validator]()
)

// What reads one text.
type reader struct {
	// Whether a member without a field is a mistake.
	strict bool
}

func read(what, text string, into any, strict bool) error {
	pointer := reflect.ValueOf(into)
	if pointer.Kind() != reflect.Pointer || pointer.IsNil() {
		return fmt.Errorf("%s: it is read into a %T, which is no pointer", what, into)
	}
	value, err := whole(text)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := (reader{strict}).value("", value, pointer.Elem(), field{}, 0); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// One JSON text, and nothing after it.
func whole(text string) (json.RawMessage, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	var value json.RawMessage
	if err := decoder.Decode(&value); err != nil {
		return nil, errors.New("it is no JSON")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("it is no JSON")
	}
	return bytes.TrimSpace(value), nil
}

func at(path string, err error) error {
	if err == nil || path == "" {
		return err
	}
	return fmt.Errorf("at `%s`: %w", path, err)
}

func (r reader) value(path string, text json.RawMessage, into reflect.Value, tags field, depth int) error {
	if depth > depthMax {
		return at(path, errors.New("it nests too deep"))
	}
	kind := into.Type()
	switch {
	case kind == rawType:
		into.SetBytes(bytes.Clone(text))
		return nil
	case reflect.PointerTo(kind).Implements(unmarshaler):
		return at(path, into.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(text))
	case reflect.PointerTo(kind).Implements(fromText):
		words, err := parseText(text)
		if err == nil {
			err = into.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(words))
		}
		return at(path, err)
	}
	switch kind.Kind() {
	case reflect.Pointer:
		made := reflect.New(kind.Elem())
		into.Set(made)
		return r.value(path, text, made.Elem(), tags, depth)
	case reflect.Bool:
		if string(text) != "true" && string(text) != "false" {
			return at(path, errors.New("it is neither `true` nor `false`"))
		}
		into.SetBool(text[0] == 't')
		return nil
	case reflect.String:
		words, err := parseText(text)
		if err == nil {
			err = tags.text(words)
		}
		into.SetString(words)
		return at(path, err)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return at(path, integer(text, into, tags))
	case reflect.Slice:
		return r.list(path, text, into, tags, depth)
	case reflect.Map:
		return r.members(path, text, into, depth)
	case reflect.Struct:
		return r.object(path, text, into, depth)
	default:
		return at(path, fmt.Errorf("nothing is read into a %s", kind))
	}
}

func parseText(text json.RawMessage) (words string, err error) {
	if len(text) == 0 || text[0] != '"' || json.Unmarshal(text, &words) != nil {
		return "", errors.New("it is no text")
	}
	return words, nil
}

func integer(text json.RawMessage, into reflect.Value, tags field) error {
	digits, isNegative := strings.CutPrefix(string(text), "-")
	number, err := strconv.ParseInt(digits, 10, 64)
	if !isDigits(digits) || err != nil || number > NumberMax {
		return errors.New("it is no whole number that every reader of JSON knows")
	}
	if isNegative {
		number = -number
	}
	fits := into.CanInt() && !into.OverflowInt(number) ||
		into.CanUint() && number >= 0 && !into.OverflowUint(uint64(number))
	if !fits {
		return fmt.Errorf("%d is no %s", number, into.Type())
	}
	if into.CanInt() {
		into.SetInt(number)
	} else {
		into.SetUint(uint64(number))
	}
	return tags.within(number, "")
}

func (r reader) list(path string, text json.RawMessage, into reflect.Value, tags field, depth int) error {
	var items []json.RawMessage
	if len(text) == 0 || text[0] != '[' || json.Unmarshal(text, &items) != nil {
		return at(path, errors.New("it is no list"))
	}
	if err := tags.within(int64(len(items)), " of them"); err != nil {
		return at(path, err)
	}
	into.Set(reflect.MakeSlice(into.Type(), len(items), len(items)))
	for index, item := range items {
		here := fmt.Sprintf("%s[%d]", path, index)
		if err := r.value(here, item, into.Index(index), field{enum: tags.enum}, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func membersOf(path string, text json.RawMessage) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if len(text) == 0 || text[0] != '{' || json.Unmarshal(text, &members) != nil {
		return nil, at(path, errors.New("it is no object"))
	}
	return members, nil
}

func (r reader) members(path string, text json.RawMessage, into reflect.Value, depth int) error {
	members, err := membersOf(path, text)
	if err != nil {
		return err
	}
	if into.Type().Key().Kind() != reflect.String {
		return at(path, fmt.Errorf("nothing is read into a %s", into.Type()))
	}
	into.Set(reflect.MakeMapWithSize(into.Type(), len(members)))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := reflect.New(into.Type().Elem()).Elem()
		if err := r.value(below(path, name), members[name], value, field{}, depth+1); err != nil {
			return err
		}
		into.SetMapIndex(reflect.ValueOf(name).Convert(into.Type().Key()), value)
	}
	return nil
}

func (r reader) object(path string, text json.RawMessage, into reflect.Value, depth int) error {
	members, err := membersOf(path, text)
	if err != nil {
		return err
	}
	fields, err := fieldsOf(into.Type())
	if err != nil {
		return at(path, err)
	}
	// In the order of the names, so that of several mistakes always the same is said.
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if r.strict && !slices.ContainsFunc(fields, func(one field) bool { return one.name == name }) {
			return at(below(path, name), fmt.Errorf("unknown field `%s`", name))
		}
	}
	for _, field := range fields {
		member, found := members[field.name]
		if !found {
			if field.optional {
				continue
			}
			return at(path, fmt.Errorf("missing field `%s`", field.name))
		}
		if err := r.value(below(path, field.name), member, into.Field(field.index), field, depth+1); err != nil {
			return err
		}
	}
	if reflect.PointerTo(into.Type()).Implements(validatorType) {
		return at(path, into.Addr().Interface().(Validator).Validate())
	}
	return nil
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
