package attorn

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Amount is one of money: whole minor units of a currency, 1 or more, and nothing that two readers could read as two
// amounts.
//
// It is read from an integer up to 2^53 - 1, or from a text of decimal digits up to 2^63 - 1 without sign, blank or leading
// zero. Nothing is rounded.
type Amount uint64

var errAmount = errors.New("it is no whole number of minor units, 1 or more, as an integer or a text of digits")

// ParseAmount reads one JSON value as an amount.
func ParseAmount(value json.RawMessage) (Amount, error) {
	digits, most := string(value), uint64(NumberMax)
	if strings.HasPrefix(digits, `"`) {
		most = math.MaxInt64
		if json.Unmarshal(value, &digits) != nil {
			return 0, errAmount
		}
	}
	if !isDigits(digits) || digits[0] == '0' {
		return 0, errAmount
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || number > most {
		return 0, errAmount
	}
	return Amount(number), nil
}

// UnmarshalJSON reads an amount.
func (amount *Amount) UnmarshalJSON(value []byte) (err error) {
	*amount, err = ParseAmount(value)
	return err
}

func isDigits(text string) bool {
	for _, digit := range []byte(text) {
		if digit < '0' || digit > '9' {
			return false
		}
	}
	return text != ""
}

// ActionPattern is one action (`account.read`), all below a name (`account.*`), or all (`*`).
type ActionPattern string

// ResourcePattern is one resource (`account/42`), all below a type or an id (`account/*`), or all (`*`).
type ResourcePattern string

// UnmarshalText takes a pattern, and nothing else.
func (pattern *ActionPattern) UnmarshalText(text []byte) error {
	if !actions.is(string(text)) {
		return fmt.Errorf("`%s` is no pattern of actions, such as `account.read`, `account.*` or `*`", text)
	}
	*pattern = ActionPattern(text)
	return nil
}

// UnmarshalText takes a pattern, and nothing else.
func (pattern *ResourcePattern) UnmarshalText(text []byte) error {
	if !resources.is(string(text)) {
		return fmt.Errorf("`%s` is no pattern of resources, such as `account/42`, `account/*` or `*`", text)
	}
	*pattern = ResourcePattern(text)
	return nil
}

// Covers says whether it matches what stands in a request. What is no pattern covers nothing.
func (pattern ActionPattern) Covers(action string) bool {
	return actions.is(string(pattern)) && covers(string(pattern), action)
}

// Covers says whether it matches what stands in a request. What is no pattern covers nothing.
func (pattern ResourcePattern) Covers(resource string) bool {
	return resources.is(string(pattern)) && covers(string(pattern), resource)
}

// How a path is written.
type grammar struct {
	separator string
	// Of a path without a wildcard.
	segmentsMin           int
	segmentsMax, bytesMax int
	first, rest           string
}

const lower = "abcdefghijklmnopqrstuvwxyz0123456789-_"
const word = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

var (
	actions   = grammar{".", 1, 8, 128, word, word}
	resources = grammar{"/", 2, 16, 256, lower, word + ".~:@+="}
)

func (g grammar) is(text string) bool {
	if text == "*" {
		return true
	}
	path, isUnder := strings.CutSuffix(text, g.separator+"*")
	segments := strings.Split(path, g.separator)
	least := g.segmentsMin
	if isUnder {
		least = 1
	}
	if len(path) > g.bytesMax || len(segments) < least || len(segments) > g.segmentsMax {
		return false
	}
	for at, segment := range segments {
		allowed := g.rest
		if at == 0 {
			allowed = g.first
		}
		if segment == "" || segment == "." || segment == ".." || strings.Trim(segment, allowed) != "" {
			return false
		}
	}
	return true
}

func covers(pattern, path string) bool {
	// The separator stays: `account/` is no prefix of `accounts/1`. Something follows it.
	prefix, isWild := strings.CutSuffix(pattern, "*")
	if !isWild {
		return pattern == path
	}
	return strings.HasPrefix(path, prefix) && len(path) > len(prefix)
}
