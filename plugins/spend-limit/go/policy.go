// Package policy is the policy `spend-limit` in Go: what an agent spends is allowed up to one limit, up to a second with an
// approval, and denied beyond. See the README above.
package policy

import (
	"encoding/json"
	"math/bits"

	attorn "attorn-policy"
)

var (
	withinLimit     = attorn.PublicReason("within_limit", "what is spent stays within what is allowed without an approval")
	aboveLimit      = attorn.PublicReason("above_limit", "what is spent passes what is allowed without an approval")
	overLimit       = attorn.PublicReason("over_limit", "what is spent passes what is allowed at all")
	noUser          = attorn.PublicReason("no_user", "this is only for agents that act for a user")
	amountMissing   = attorn.PublicReason("amount_missing", "the arguments do not have the amount")
	amountInvalid   = attorn.PublicReason("amount_invalid", "the amount is no whole number of minor units, 1 or more, as a safe integer or a string of digits")
	currencyMissing = attorn.PublicReason("currency_missing", "the arguments do not have the currency")
	otherCurrency   = attorn.PublicReason("other_currency", "the limit is in another currency")
)

// Policy is what the toolchain makes a component of.
var Policy = attorn.Policy[Settings]{
	Name:    "spend-limit",
	Version: "0.1.0",
	Reasons: []attorn.Reason{
		withinLimit, aboveLimit, overLimit, noUser, amountMissing, amountInvalid, currencyMissing, otherCurrency,
	},
	Requirements: func(settings *Settings) (attorn.Requirements, error) {
		return attorn.Requirements{Counters: []attorn.CounterDeclaration{settings.counter()}}, nil
	},
	Evaluate: evaluate,
}

func evaluate(ctx *attorn.Context, settings *Settings) (attorn.Verdict, error) {
	if settings.Scope != "agent" && ctx.User == nil {
		return attorn.Deny(noUser), nil
	}
	// Whatever else there is in the arguments is not this policy's business.
	var arguments map[string]json.RawMessage
	if err := ctx.ReadArguments(&arguments); err != nil {
		return attorn.Verdict{}, err
	}
	given, found := arguments[string(settings.AmountArgument)]
	if !found {
		return attorn.Deny(amountMissing), nil
	}
	amount, err := attorn.ParseAmount(given)
	if err != nil {
		return attorn.Deny(amountInvalid), nil
	}
	given, found = arguments[string(settings.CurrencyArgument)]
	if !found {
		return attorn.Deny(currencyMissing), nil
	}
	var currency any
	if json.Unmarshal(given, &currency) != nil || currency != string(settings.Currency) {
		return attorn.Deny(otherCurrency), nil
	}
	counter, err := ctx.Counter(settings.counter().Name)
	if err != nil {
		return attorn.Verdict{}, err
	}
	return limit(settings, counter, uint64(amount)), nil
}

// What is said of `amount` more. Each debit names the limit that it was held against: should others spend meanwhile, the
// host adds up to that and no further, and asks again.
func limit(settings *Settings, counter attorn.Counter, amount uint64) attorn.Verdict {
	total, carry := bits.Add64(counter.Used, amount, 0)
	asked := settings.Challenge
	switch {
	// A sum that cannot be counted is over any limit.
	case carry == 0 && total <= settings.AllowMax:
		return attorn.Allow().Because(withinLimit).Debit(counter.Name, amount, settings.AllowMax)
	case carry == 0 && asked != nil && total <= asked.Max:
		return attorn.Challenge(aboveLimit).ApprovedBy(string(asked.Role), asked.Count).Debit(counter.Name, amount, asked.Max)
	default:
		return attorn.Deny(overLimit)
	}
}
