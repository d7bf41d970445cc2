package attorn

import (
	"encoding/json"
	"errors"
	"testing"

	"attorn-policy/internal/contract"
	"attorn-policy/internal/host"
	"attorn-policy/internal/wit"
)

type served struct {
	Limit int64    `json:"limit" min:"1" max:"9" doc:"At most."`
	Roles []string `json:"roles" enum:"a,b"`
	Note  *string  `json:"note"`
}

// What the host calls, as it does.
func TestWhatTheHostCalls(t *testing.T) {
	Serve(Policy[served]{
		Name: "served", Version: "1.2.3", Reasons: []Reason{PublicReason("well", "all is well")},
		Evaluate: func(ctx *Context, settings *served) (Verdict, error) {
			if ctx.Request.Action == "fail" {
				return Allow(), errors.New("odd \xff")
			}
			return Allow().Uses(settings.Limit).Debit("spent", 1, 2).Oblige("mask", map[string]int{"a": 1}), nil
		},
	})
	described := host.Describe()
	var schema struct {
		Title    string
		Required []string
	}
	if err := json.Unmarshal([]byte(described.SettingsSchema), &schema); err != nil || schema.Title != "served" || len(schema.Required) != 2 {
		t.Error(described.SettingsSchema, err)
	}
	if said := host.Evaluate(contract.Context{}); said.Err() != "evaluate was called before init" {
		t.Error(said.Err())
	}
	if said := host.Init(`{"limit":10,"roles":[]}`); said.Err() != "settings: at `limit`: 10, and 1 to 9 are right" {
		t.Error(said.Err())
	}
	if said := host.Init(`{"limit":2,"roles":["c"]}`); said.Err() != "settings: at `roles[0]`: it is none of `a`, `b`" {
		t.Error(said.Err())
	}
	if said := host.Evaluate(contract.Context{}); said.Err() != "evaluate was called before init" {
		t.Error("settings that were refused are kept")
	}
	if said := host.Init(`{"limit":2,"roles":["a"]}`); said.Tag() != wit.ResultOk || len(said.Ok().Reasons) != 1 {
		t.Error(said.Err())
	}
	if said := host.Init(`{"limit":2,"roles":["a"]}`); said.Err() != "init was called twice" {
		t.Error(said.Err())
	}
	ctx := contract.Context{Time: 1_767_603_600_000, User: wit.Some(contract.User{Id: "usr"})}
	terms := host.Evaluate(ctx).Ok().Allow().Terms
	if terms.UsesMax.Some() != 2 || terms.GrantMsMax.Tag() != wit.OptionNone || len(terms.Debits) != 1 || terms.Obligations[0].Parameters != `{"a":1}` {
		t.Error(terms)
	}
	ctx.Request.Action = "fail"
	if said := host.Evaluate(ctx); said.Tag() != wit.ResultErr || said.Err() != "odd \uFFFD" {
		t.Error(said.Err())
	}
}
