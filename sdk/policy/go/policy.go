// Package attorn is for policies of Attorn in Go.
//
// A policy is a struct of settings and one function, which says what it makes of a request. It runs in a sandbox without
// clock, network, files or chance. See the README.
package attorn

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"attorn-policy/internal/contract"
	"attorn-policy/internal/host"
	"attorn-policy/internal/wit"
)

// NumberMax is the largest number that goes either way between host and policy: 2^53 - 1.
const NumberMax = 1<<53 - 1

// Policy is what a project's package exports as `Policy`.
type Policy[S any] struct {
	// For people: 1 to 64 characters, and semver.
	Name, Version string
	// The reasons that it may give, whatever the settings.
	Reasons []Reason
	// What it needs under these settings, or why it does not take them. May be nil.
	Requirements func(settings *S) (Requirements, error)
	// What it says to a request. An error denies, and its text is kept with the decision record.
	Evaluate func(ctx *Context, settings *S) (Verdict, error)
}

// Reason is why. Codes are stable, because clients match on them: small letters, digits and `_`, at most 64. The text is
// what it means, at most 256 characters.
type Reason struct {
	Code, Text string
	// Whether the agent may read it; otherwise it reads `denied_by_policy` in its place.
	Public bool
}

// PublicReason is one that the agent may read.
func PublicReason(code, text string) Reason { return Reason{code, text, true} }

// PrivateReason is one that only operators and auditors may read.
func PrivateReason(code, text string) Reason { return Reason{code, text, false} }

// WithText is the same reason with what it means here, at most 512 characters.
func (reason Reason) WithText(text string) Reason {
	reason.Text = text
	return reason
}

// Window is a span of UTC time over which a counter counts.
type Window = contract.Window

// The windows.
const (
	Minute = contract.WindowMinute
	Hour   = contract.WindowHour
	Day    = contract.WindowDay
	Month  = contract.WindowMonth
	Total  = contract.WindowTotal
)

// Scope is whom a counter counts for.
type Scope = contract.Scope

// The scopes.
const (
	ScopeAgent          = contract.ScopeAgent
	ScopeUser           = contract.ScopeUser
	ScopeUserAgent      = contract.ScopeUserAgent
	ScopeRootDelegation = contract.ScopeRootDelegation
	ScopeSession        = contract.ScopeSession
)

// CounterDeclaration is a counter that the policy may debit: its name, what one count means (`cents`), whom it counts for,
// and over what time.
type CounterDeclaration = contract.CounterDeclaration

// Requirements is what a policy needs under its settings.
type Requirements struct {
	// Templates of names of facts, such as `user/{user.id}/risk`; at most 32.
	Facts []string
	// At most 16.
	Counters []CounterDeclaration
	// Beside those of the policy; at most 64 in all.
	Reasons []Reason
}

// Started is a policy with its settings.
type Started struct {
	// What it needs.
	Requirements Requirements
	evaluate     func(ctx *Context) (Verdict, error)
}

// Start takes settings, one JSON text, or says what is wrong with them.
func (policy Policy[S]) Start(text string) (started *Started, err error) {
	defer caught(&err)
	if policy.Evaluate == nil {
		return nil, errors.New("the policy has no `Evaluate`")
	}
	settings := new(S)
	if err := read("settings", text, settings, true); err != nil {
		return nil, err
	}
	var needs Requirements
	if policy.Requirements != nil {
		if needs, err = policy.Requirements(settings); err != nil {
			return nil, fmt.Errorf("settings: %w", err)
		}
	}
	needs.Reasons = append(append([]Reason{}, needs.Reasons...), policy.Reasons...)
	evaluate := func(ctx *Context) (Verdict, error) { return policy.Evaluate(ctx, settings) }
	return &Started{needs, evaluate}, nil
}

// Evaluate is what it says to a request. What panics is an error, and so is a verdict that cannot be.
func (started *Started) Evaluate(ctx *Context) (verdict Verdict, err error) {
	defer caught(&err)
	verdict, err = started.evaluate(ctx)
	if err == nil {
		err = verdict.check()
	}
	return verdict, err
}

// A panic as an error.
func caught(err *error) {
	if problem := recover(); problem != nil {
		*err = fmt.Errorf("panic: %v", problem)
	}
}

// Serve makes this the policy of a component. For the toolchain; policies do not call it.
func Serve[S any](policy Policy[S]) {
	host.Describe = func() contract.Description {
		schema, err := json.Marshal(schemaOf[S](policy.Name))
		if err != nil {
			panic(err)
		}
		return contract.Description{Name: policy.Name, Version: policy.Version, SettingsSchema: string(schema)}
	}
	var started *Started
	host.Init = func(settings string) wit.Result[contract.Requirements, string] {
		if started != nil {
			return refused[contract.Requirements](errors.New("init was called twice"))
		}
		made, err := policy.Start(strings.Clone(settings))
		if err != nil {
			return refused[contract.Requirements](err)
		}
		started = made
		return wit.Ok[contract.Requirements, string](made.Requirements.raw())
	}
	host.Evaluate = func(raw contract.Context) wit.Result[contract.Verdict, string] {
		if started == nil {
			return refused[contract.Verdict](errors.New("evaluate was called before init"))
		}
		verdict, err := started.Evaluate(contextOf(&raw))
		if err != nil {
			return refused[contract.Verdict](err)
		}
		return wit.Ok[contract.Verdict, string](verdict.raw())
	}
}

// What is no text would trap, and nobody would read why.
func refused[T any](err error) wit.Result[T, string] {
	return wit.Err[T, string](strings.ToValidUTF8(err.Error(), "\uFFFD"))
}

func (needs Requirements) raw() contract.Requirements {
	raw := contract.Requirements{Facts: needs.Facts, Counters: needs.Counters}
	for _, reason := range needs.Reasons {
		raw.Reasons = append(raw.Reasons, contract.ReasonDeclaration(reason))
	}
	return raw
}
