package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	attorn "attorn-policy"
)

var (
	argument = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	currency = regexp.MustCompile(`^[A-Z]{3}$`)
)

// Settings are what they are read into; a mistake in them is refused with its place.
type Settings struct {
	AmountArgument   argumentName `json:"amount_argument" doc:"Which argument of the request is the amount, in minor units of the currency."`
	CurrencyArgument argumentName `json:"currency_argument" doc:"Which argument of the request is the currency; another than the amount."`
	Currency         currencyCode `json:"currency" doc:"What the currency has to be, byte by byte."`
	Scope            string       `json:"scope" enum:"agent,user,user_agent" doc:"Whose spending is counted."`
	Window           string       `json:"window" enum:"minute,hour,day,month,total" doc:"Over what time it is counted, in UTC."`
	AllowMax         uint64       `json:"allow_max" doc:"What may be spent in a window without an approval, in minor units. 0 only with a challenge."`
	Challenge        *challenge   `json:"challenge" doc:"What may be spent with an approval. Without it, everything beyond allow_max is denied."`
}

type challenge struct {
	Max   uint64   `json:"max" min:"1" doc:"What may be spent in a window at all, in minor units; more than allow_max."`
	Role  roleName `json:"role" doc:"Who has to approve: user, operator, or a group's name as its provider has it, 1 to 256 bytes."`
	Count int      `json:"count" min:"1" max:"16" doc:"How many distinct people."`
}

type argumentName string

func (name *argumentName) UnmarshalText(text []byte) error {
	*name = argumentName(text)
	return matched(argument.Match(text), "it is no name of an argument")
}

type currencyCode string

func (code *currencyCode) UnmarshalText(text []byte) error {
	*code = currencyCode(text)
	return matched(currency.Match(text), "it is no code of three capital letters")
}

// A group is called whatever its provider calls it: any text without control characters.
type roleName string

func (role *roleName) UnmarshalText(text []byte) error {
	*role = roleName(text)
	isRole := len(text) >= 1 && len(text) <= 256 && !strings.ContainsFunc(string(text), unicode.IsControl)
	return matched(isRole, "it is no role")
}

func matched(is bool, problem string) error {
	if is {
		return nil
	}
	return errors.New(problem)
}

// Validate says what has to hold between them.
func (settings *Settings) Validate() error {
	switch {
	case settings.AmountArgument == settings.CurrencyArgument:
		return fmt.Errorf("at `currency_argument`: `%s` is the amount already", settings.AmountArgument)
	case settings.Challenge == nil && settings.AllowMax == 0:
		return errors.New("at `allow_max`: 0 without a challenge would deny everything")
	case settings.Challenge != nil && settings.Challenge.Max <= settings.AllowMax:
		return errors.New("at `challenge.max`: it is not above `allow_max`")
	}
	return nil
}

// What is spent in each currency is counted apart: cents and yen do not add up.
func (settings *Settings) counter() attorn.CounterDeclaration {
	return attorn.CounterDeclaration{
		Name: "spent_" + strings.ToLower(string(settings.Currency)),
		Unit: string(settings.Currency) + " minor units",
		Scope: map[string]attorn.Scope{
			"agent": attorn.ScopeAgent, "user": attorn.ScopeUser, "user_agent": attorn.ScopeUserAgent,
		}[settings.Scope],
		Window: map[string]attorn.Window{
			"minute": attorn.Minute, "hour": attorn.Hour, "day": attorn.Day, "month": attorn.Month, "total": attorn.Total,
		}[settings.Window],
	}
}
