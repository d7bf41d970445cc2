// Package attorntest tests a policy where it is written, without WebAssembly or a host.
//
// It bounds neither time nor memory, and there is a clock: for the real sandbox, run the policy's cases.
package attorntest

import (
	"slices"
	"strings"
	"testing"
	"time"

	attorn "attorn-policy"
)

// Tested is a policy with settings.
type Tested struct {
	t *testing.T
	// What it needs under them.
	Requirements attorn.Requirements
	started      *attorn.Started
}

// Start is the policy under these settings, which have to be taken.
func Start[S any](t *testing.T, policy attorn.Policy[S], settings string) *Tested {
	t.Helper()
	started, err := policy.Start(settings)
	if err != nil {
		t.Fatalf("the settings are refused: %v", err)
	}
	return &Tested{t, started.Requirements, started}
}

// Refused is what these settings are refused with; that they are taken fails the test.
func Refused[S any](t *testing.T, policy attorn.Policy[S], settings string) string {
	t.Helper()
	_, err := policy.Start(settings)
	if err == nil {
		t.Fatalf("the settings are taken: %s", settings)
	}
	return err.Error()
}

// Says is what it says and the codes of its reasons (`deny not_listed`), or `failed: ` and why. That its reasons and
// counters are declared is checked, as the host does.
func (tested *Tested) Says(ctx *attorn.Context) string {
	verdict, err := tested.started.Evaluate(ctx)
	if err != nil {
		return "failed: " + err.Error()
	}
	for _, reason := range verdict.Reasons() {
		same := func(one attorn.Reason) bool { return one.Code == reason.Code }
		if !slices.ContainsFunc(tested.Requirements.Reasons, same) {
			return "failed: reason `" + reason.Code + "` is not declared"
		}
	}
	for _, counter := range verdict.Counters() {
		same := func(one attorn.CounterDeclaration) bool { return one.Name == counter }
		if !slices.ContainsFunc(tested.Requirements.Counters, same) {
			return "failed: counter `" + counter + "` is not declared"
		}
	}
	return verdict.String()
}

// Verdict is what it says, or an error.
func (tested *Tested) Verdict(ctx *attorn.Context) (attorn.Verdict, error) {
	return tested.started.Evaluate(ctx)
}

// Context is one in which the agent `test-agent` wants this, on its own authority and without arguments, on Monday,
// 2026-01-05T09:00:00Z. Change what the test is about.
func Context(action, resource string) *attorn.Context {
	kind, id, _ := strings.Cut(resource, "/")
	return &attorn.Context{
		Phase:  attorn.Decide,
		Time:   time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC),
		Caller: attorn.Caller{Method: attorn.Dpop, KeyThumbprint: strings.Repeat("A", 43)},
		Agent:  attorn.Agent{ID: "test-agent", Instance: "test-1", Owner: "tests", Labels: map[string]string{}},
		Request: attorn.Request{
			Action: action, Resource: resource, ResourceType: kind, ResourceID: id, Purpose: "test",
			Arguments: "{}",
			// SHA-256 of the two bytes `{}`. Whoever changes the arguments need not change it.
			ArgumentsDigest:   "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
			ClaimedProperties: "{}",
		},
		Extensions: map[string]string{},
	}
}

// User is one with this id, without groups and claims, who authenticated an hour before.
func User(id string) *attorn.User {
	at := time.Date(2026, time.January, 5, 8, 0, 0, 0, time.UTC)
	return &attorn.User{ID: id, Issuer: "https://issuer.example", AuthenticatedAt: at, Claims: "{}"}
}
