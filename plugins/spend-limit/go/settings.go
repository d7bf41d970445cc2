package export_attorn_policy_policy

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	contract "wit_component/attorn_policy_policy"
)

const (
	nameBytesMax = 64
	roleBytesMax = 256
	approversMax = 16
)

var scopes = map[string]uint8{
	"agent":      contract.ScopeAgent,
	"user":       contract.ScopeUser,
	"user_agent": contract.ScopeUserAgent,
}

var windows = map[string]uint8{
	"minute": contract.WindowMinute,
	"hour":   contract.WindowHour,
	"day":    contract.WindowDay,
	"month":  contract.WindowMonth,
	"total":  contract.WindowTotal,
}

// Settings that were found right.
type settings struct {
	amountArgument   string
	currencyArgument string
	currency         string
	counter          string // What is spent in each currency is counted apart.
	scope            contract.Scope
	window           contract.Window
	allowMax         uint64
	challenge        *challenge
}

type challenge struct {
	max   uint64
	role  string
	count uint32
}

type fields map[string]json.RawMessage

func parseSettings(text string) (*settings, error) {
	written, err := parseFields("settings", json.RawMessage(text),
		"amount_argument", "currency_argument", "currency", "scope", "window", "allow_max", "challenge")
	if err != nil {
		return nil, err
	}
	var parsed settings
	if parsed.amountArgument, err = written.text("amount_argument", isArgument); err != nil {
		return nil, err
	}
	if parsed.currencyArgument, err = written.text("currency_argument", isArgument); err != nil {
		return nil, err
	}
	if parsed.amountArgument == parsed.currencyArgument {
		return nil, refuse("currency_argument", "it is the amount already")
	}
	if parsed.currency, err = written.text("currency", isCurrency); err != nil {
		return nil, err
	}
	parsed.counter = "spent_" + strings.ToLower(parsed.currency)
	if parsed.scope, err = oneOf(written, "scope", scopes); err != nil {
		return nil, err
	}
	if parsed.window, err = oneOf(written, "window", windows); err != nil {
		return nil, err
	}
	if parsed.allowMax, err = written.number("allow_max", safeMax); err != nil {
		return nil, err
	}
	if inner, found := written["challenge"]; found {
		parsed.challenge, err = parseChallenge(inner, parsed.allowMax)
		return &parsed, err
	}
	if parsed.allowMax == 0 {
		return nil, refuse("allow_max", "0 without a challenge would deny everything")
	}
	return &parsed, nil
}

func parseChallenge(text json.RawMessage, allowMax uint64) (*challenge, error) {
	written, err := parseFields("challenge", text, "max", "role", "count")
	if err != nil {
		return nil, err
	}
	var parsed challenge
	if parsed.max, err = written.number("max", safeMax); err != nil {
		return nil, fmt.Errorf("%w (`challenge.max`)", err)
	}
	if parsed.max <= allowMax {
		return nil, refuse("challenge.max", "it is not above `allow_max`")
	}
	if parsed.role, err = written.text("role", isRole); err != nil {
		return nil, fmt.Errorf("%w (`challenge.role`)", err)
	}
	count, err := written.number("count", approversMax)
	if err == nil && count == 0 {
		err = refuse("count", "it is 0")
	}
	if err != nil {
		return nil, fmt.Errorf("%w (`challenge.count`)", err)
	}
	parsed.count = uint32(count)
	return &parsed, nil
}

func parseFields(path string, text json.RawMessage, known ...string) (fields, error) {
	var written fields
	if len(text) == 0 || text[0] != '{' || json.Unmarshal(text, &written) != nil {
		return nil, refuse(path, "it is no object")
	}
	for name := range written {
		isKnown := false
		for _, one := range known {
			isKnown = isKnown || one == name
		}
		if !isKnown {
			return nil, refuse(name, fmt.Sprintf("unknown field `%s`", name))
		}
	}
	return written, nil
}

func (written fields) text(name string, isRight func(string) bool) (string, error) {
	value, found := written[name]
	if !found {
		return "", refuse(name, "it is missing")
	}
	text, isText := parseString(value)
	if !isText || !isRight(text) {
		return "", refuse(name, "it has not the right form")
	}
	return text, nil
}

func (written fields) number(name string, most uint64) (uint64, error) {
	value, found := written[name]
	if !found {
		return 0, refuse(name, "it is missing")
	}
	number, valid := parseDigits(string(value), most)
	if !valid {
		return 0, refuse(name, fmt.Sprintf("it is no whole number up to %d", most))
	}
	return number, nil
}

func oneOf(written fields, name string, known map[string]uint8) (uint8, error) {
	var value uint8
	_, err := written.text(name, func(text string) (found bool) {
		value, found = known[text]
		return found
	})
	return value, err
}

func isArgument(name string) bool {
	return within(name, nameBytesMax, func(at int, c byte) bool {
		return isLower(c) || isUpper(c) || isDigit(c) || c == '-' || c == '_'
	})
}

func isCurrency(code string) bool {
	return len(code) == 3 && within(code, 3, func(at int, c byte) bool { return isUpper(c) })
}

// A role is `user`, `operator` or the name of a group: any text without control characters.
func isRole(role string) bool {
	return role != "" && len(role) <= roleBytesMax && !strings.ContainsFunc(role, unicode.IsControl)
}

func within(text string, most int, isRight func(at int, c byte) bool) bool {
	for at, c := range []byte(text) {
		if !isRight(at, c) {
			return false
		}
	}
	return text != "" && len(text) <= most
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func refuse(path, problem string) error {
	return fmt.Errorf("settings: at `%s`: %s", path, problem)
}
