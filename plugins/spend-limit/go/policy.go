// The policy `spend-limit` in Go, against nothing but the contract. See the README above.
package export_attorn_policy_policy

import (
	_ "embed"
	"encoding/json"
	"math/bits"
	"strings"

	contract "wit_component/attorn_policy_policy"

	types "go.bytecodealliance.org/pkg/wit/types"
)

//go:embed settings.schema.json
var schema string

// What init took; nil before.
var kept *settings

type reasonText struct{ code, text string }

var (
	withinLimit   = reasonText{"within_limit", "what is spent stays within what is allowed without an approval"}
	aboveLimit    = reasonText{"above_limit", "what is spent passes what is allowed without an approval"}
	overLimit     = reasonText{"over_limit", "what is spent passes what is allowed at all"}
	noUser        = reasonText{"no_user", "this is only for agents that act for a user"}
	noAmount      = reasonText{"amount_missing", "the arguments do not have the amount"}
	badAmount     = reasonText{"amount_invalid", "the amount is no whole number of minor units, 1 or more, as a safe integer or a string of digits"}
	noCurrency    = reasonText{"currency_missing", "the arguments do not have the currency"}
	otherCurrency = reasonText{"other_currency", "the limit is in another currency"}
)

var reasons = []reasonText{withinLimit, aboveLimit, overLimit, noUser, noAmount, badAmount, noCurrency, otherCurrency}

// Describe says what this component is.
func Describe() contract.Description {
	return contract.Description{Name: "spend-limit", Version: "0.1.0", SettingsSchema: schema}
}

// Init takes the settings.
func Init(text string) types.Result[contract.Requirements, string] {
	parsed, err := parseSettings(text)
	if err != nil {
		return types.Err[contract.Requirements, string](err.Error())
	}
	kept = parsed
	requirements := contract.Requirements{
		Counters: []contract.CounterDeclaration{{
			Name:   kept.counter,
			Unit:   kept.currency + " minor units",
			Scope:  kept.scope,
			Window: kept.window,
		}},
	}
	for _, reason := range reasons {
		declared := contract.ReasonDeclaration{Code: reason.code, Text: reason.text, Public: true}
		requirements.Reasons = append(requirements.Reasons, declared)
	}
	return types.Ok[contract.Requirements, string](requirements)
}

// Evaluate decides.
func Evaluate(ctx contract.Context) types.Result[contract.Verdict, string] {
	if kept == nil {
		return failed("evaluate was called before init")
	}
	if kept.scope != contract.ScopeAgent && ctx.User.IsNone() {
		return deny(noUser)
	}
	// A map, because the names of a struct's fields are matched whatever their case.
	var arguments map[string]json.RawMessage
	if err := json.Unmarshal([]byte(ctx.Request.Arguments), &arguments); err != nil {
		return failed("arguments: " + err.Error())
	}
	written, found := arguments[kept.amountArgument]
	if !found {
		return deny(noAmount)
	}
	amount, valid := parseAmount(written)
	if !valid {
		return deny(badAmount)
	}
	written, found = arguments[kept.currencyArgument]
	if !found {
		return deny(noCurrency)
	}
	if currency, isText := parseString(written); !isText || currency != kept.currency {
		return deny(otherCurrency)
	}
	for _, counter := range ctx.Counters {
		if counter.Name == kept.counter {
			return limit(counter.Used, amount)
		}
	}
	return failed("counter `" + kept.counter + "` is not among the requirements")
}

func limit(used, amount uint64) types.Result[contract.Verdict, string] {
	total, carry := bits.Add64(used, amount, 0)
	// A sum that cannot be counted is over any limit.
	if carry != 0 {
		return deny(overLimit)
	}
	if total <= kept.allowMax {
		return said(contract.MakeVerdictAllow(contract.Allow{
			Terms:   debit(amount, kept.allowMax),
			Reasons: []contract.Reason{reason(withinLimit)},
		}))
	}
	challenge := kept.challenge
	if challenge == nil || total > challenge.max {
		return deny(overLimit)
	}
	return said(contract.MakeVerdictChallenge(contract.Challenge{
		Approvers: []contract.ApprovalRequirement{{Role: challenge.role, Count: challenge.count}},
		Terms:     debit(amount, challenge.max),
		Reason:    reason(aboveLimit),
	}))
}

func debit(amount, atMost uint64) contract.Terms {
	return contract.Terms{
		GrantMsMax: types.None[uint64](),
		UsesMax:    types.None[uint32](),
		Debits:     []contract.Debit{{Counter: kept.counter, Amount: amount, AtMost: atMost}},
	}
}

func deny(why reasonText) types.Result[contract.Verdict, string] {
	return said(contract.MakeVerdictDeny([]contract.Reason{reason(why)}))
}

func reason(why reasonText) contract.Reason {
	return contract.Reason{Code: why.code, Text: why.text}
}

func said(verdict contract.Verdict) types.Result[contract.Verdict, string] {
	return types.Ok[contract.Verdict, string](verdict)
}

func failed(problem string) types.Result[contract.Verdict, string] {
	return types.Err[contract.Verdict, string](strings.ToValidUTF8(problem, "?"))
}
