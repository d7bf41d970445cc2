// The policy `reads-context` in Go. See the README above.
package export_attorn_policy_policy

import (
	"encoding/json"
	"strconv"

	contract "wit_component/attorn_policy_policy"

	types "go.bytecodealliance.org/pkg/wit/types"
)

// What of the text is read.
type whole struct {
	User        *person `json:"user"`
	Delegations []hop   `json:"delegations"`
}

type person struct {
	Claims map[string]string `json:"claims"`
}

type hop struct {
	ID          string       `json:"id"`
	ToAgent     string       `json:"to_agent"`
	Permissions []permission `json:"permissions"`
	Purpose     string       `json:"purpose"`
	Session     string       `json:"session"`
	CreatedAtMs uint64       `json:"created_at_ms"`
	ExpiresAtMs uint64       `json:"expires_at_ms"`
}

type permission struct {
	Action   string `json:"action"`
	Resource string `json:"resource"`
}

// Describe says what this component is.
func Describe() contract.Description {
	return contract.Description{Name: "reads-context", Version: "0.0.0", SettingsSchema: "{}"}
}

// Init takes any settings.
func Init(string) types.Result[contract.Requirements, string] {
	reason := contract.ReasonDeclaration{Code: "read", Text: "how much was read", Public: true}
	requirements := contract.Requirements{Reasons: []contract.ReasonDeclaration{reason}}
	return types.Ok[contract.Requirements, string](requirements)
}

// Evaluate denies with how much was read.
func Evaluate(ctx contract.Context) types.Result[contract.Verdict, string] {
	sum, err := read(ctx)
	if err != nil {
		return types.Err[contract.Verdict, string](err.Error())
	}
	reason := contract.Reason{Code: "read", Text: strconv.FormatUint(sum, 10)}
	return types.Ok[contract.Verdict, string](contract.MakeVerdictDeny([]contract.Reason{reason}))
}

func read(ctx contract.Context) (uint64, error) {
	var sum uint64
	switch ctx.Request.Action {
	case "measure.records":
		for _, hop := range ctx.Delegations {
			sum += length(hop.Id, hop.ToAgent, hop.Purpose, hop.Session) + hop.ExpiresAtMs - hop.CreatedAtMs
			for _, one := range hop.Permissions {
				sum += length(one.Action, one.Resource)
			}
		}
		if ctx.User.IsSome() {
			var members map[string]string
			if err := json.Unmarshal([]byte(ctx.User.Some().Claims), &members); err != nil {
				return 0, err
			}
			sum += claims(members)
		}
	case "measure.text":
		var all whole
		if err := json.Unmarshal([]byte(ctx.Request.ClaimedProperties), &all); err != nil {
			return 0, err
		}
		for _, hop := range all.Delegations {
			sum += length(hop.ID, hop.ToAgent, hop.Purpose, hop.Session) + hop.ExpiresAtMs - hop.CreatedAtMs
			for _, one := range hop.Permissions {
				sum += length(one.Action, one.Resource)
			}
		}
		if all.User != nil {
			sum += claims(all.User.Claims)
		}
	}
	return sum, nil
}

func length(texts ...string) uint64 {
	var sum uint64
	for _, text := range texts {
		sum += uint64(len(text))
	}
	return sum
}

func claims(members map[string]string) uint64 {
	var sum uint64
	for name, value := range members {
		sum += length(name, value)
	}
	return sum
}
