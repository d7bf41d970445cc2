package attorn

import (
	"encoding/json"
	"fmt"
	"time"

	"attorn-policy/internal/contract"
)

// Phase is what an evaluation is for.
type Phase = contract.Phase

// The phases: a decision that takes effect, which of many things would be allowed, and what would be decided.
const (
	Decide   = contract.PhaseDecide
	List     = contract.PhaseList
	Simulate = contract.PhaseSimulate
)

// Method is how a caller proved who it is.
type Method = contract.AuthenticationMethod

// The methods.
const (
	Dpop             = contract.AuthenticationMethodDpop
	Mtls             = contract.AuthenticationMethodMtls
	PrivateKeyJwt    = contract.AuthenticationMethodPrivateKeyJwt
	EnforcementPoint = contract.AuthenticationMethodEnforcementPoint
)

// Context is everything that an evaluation depends on.
type Context struct {
	Phase Phase
	// The host's time of the decision, in UTC. The only time there is.
	Time time.Time
	// Who made the call, as the host authenticated it.
	Caller Caller
	// The agent that acts. Everything in it was set by a registrar, not by the agent.
	Agent Agent
	// The user on whose behalf it acts; nil when it acts on its own authority.
	User *User
	// From the user to the acting agent; empty when there is no user.
	Delegations []Delegation
	Request     Request
	// One for each template of the requirements, in their order. See Fact.
	Facts []Fact
	// Of this very request, checked by the host.
	Approvals []Approval
	// One for each counter of the requirements, in their order. See Counter.
	Counters []Counter
	// The service that asks, when it is not the agent: its id, and one JSON object that it asserts about its own resource.
	EnforcementPointID, EnforcementPointProperties string
	// What later versions of the host add, by name.
	Extensions map[string]string
}

// Caller is who made the call.
type Caller struct {
	Method Method
	// The RFC 7638 thumbprint of its key.
	KeyThumbprint string
}

// Agent is a registered agent.
type Agent struct {
	ID, Instance, Owner string
	Labels              map[string]string
}

// Group is one that a user is in, as its provider asserted it.
type Group struct {
	Issuer, Name string
	AssertedAt   time.Time
}

// User is a human, as a trusted provider authenticated them.
type User struct {
	ID, Issuer      string
	AuthenticatedAt time.Time
	// The authentication context class (`acr`); empty if the provider said none.
	ACR    string
	Groups []Group
	// The claims that the provider's configuration lets through, one JSON object. See ReadClaims.
	Claims string
}

// Permission is what may be done to what.
type Permission struct{ Action, Resource string }

// Delegation is one hop of the chain.
type Delegation struct {
	ID, ToAgent          string
	Permissions          []Permission
	Purpose, Session     string
	CreatedAt, ExpiresAt time.Time
}

// Request is what the agent wants now.
type Request struct {
	Action, Resource         string
	ResourceType, ResourceID string
	Purpose                  string
	// The session that the agent states; authentic only when there is a delegation. Empty if it states none.
	Session string
	// The arguments, one JSON object, which are what is executed. See ReadArguments.
	Arguments, ArgumentsDigest string
	// Whatever else the agent claims. Nobody checked it: it may be a lie, and a policy that rests on it lets the agent
	// decide.
	ClaimedProperties string
}

// Fact is what the host knows.
type Fact struct {
	Template string
	// One JSON text; nil if nobody pushed one, it expired, or a field of the template is empty.
	Value *string
}

// Approval is somebody's yes.
type Approval struct {
	ID, Approver, Role string
	ApprovedAt         time.Time
}

// Counter is a counter as it stands now. Only a debit makes it binding.
type Counter struct {
	Name string
	// What was debited in its window.
	Used        uint64
	WindowStart time.Time
	// Zero for the window Total.
	WindowEnd time.Time
}

// ReadArguments reads the arguments into a struct, by the rules of settings but that members which it does not name are
// passed over. A map of json.RawMessage takes all of them.
func (ctx *Context) ReadArguments(into any) error {
	return read("arguments", ctx.Request.Arguments, into, false)
}

// ReadClaims reads the user's claims. Without a user there are none, and it says false.
func (ctx *Context) ReadClaims(into any) (bool, error) {
	if ctx.User == nil {
		return false, nil
	}
	return true, read("claims", ctx.User.Claims, into, false)
}

// Fact reads the fact of this template, which has to be among the requirements. It says false if the fact is missing. That
// nobody knows must not mean that all is well.
func (ctx *Context) Fact(template string, into any) (bool, error) {
	for _, fact := range ctx.Facts {
		if fact.Template == template {
			if fact.Value == nil {
				return false, nil
			}
			return true, read("fact `"+template+"`", *fact.Value, into, false)
		}
	}
	return false, fmt.Errorf("fact `%s` is not among the requirements", template)
}

// Counter is the counter of this name, which has to be among the requirements.
func (ctx *Context) Counter(name string) (Counter, error) {
	for _, counter := range ctx.Counters {
		if counter.Name == name {
			return counter, nil
		}
	}
	return Counter{}, fmt.Errorf("counter `%s` is not among the requirements", name)
}

// WantedCredential is what is asked for that is no token.
//
// `postgresql` is a login in a database: whoever holds one can do all that it can, as often as they like while it lives,
// and arguments are none. `proxy` gives the agent nothing: if this is allowed, the request goes on to the target's
// service, once, with what is in its arguments. There may be others.
type WantedCredential struct {
	Kind string
	// Where it would be made or where the request would go; empty if the resource's type is tied to no target.
	Target string
}

// WantedCredential is nil where a token is asked for, which is good for what is decided here and nothing else.
func (ctx *Context) WantedCredential() (*WantedCredential, error) {
	text, found := ctx.Extensions["attorn.credential"]
	if !found {
		return nil, nil
	}
	// Later hosts may say more of it.
	var wanted struct {
		Kind   string          `json:"kind"`
		Target json.RawMessage `json:"target"`
	}
	if err := read("attorn.credential", text, &wanted, false); err != nil {
		return nil, err
	}
	credential := WantedCredential{Kind: wanted.Kind}
	if string(wanted.Target) != "null" {
		if err := read("attorn.credential", string(wanted.Target), &credential.Target, false); err != nil {
			return nil, err
		}
	}
	return &credential, nil
}

func timeOf(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }

// The contract's own, in what Go has for it.
func contextOf(raw *contract.Context) *Context {
	request := raw.Request
	ctx := &Context{
		Phase:  raw.Phase,
		Time:   timeOf(raw.Time),
		Caller: Caller(raw.Caller),
		Agent: Agent{
			ID: raw.Agent.Id, Instance: raw.Agent.Instance, Owner: raw.Agent.Owner, Labels: map[string]string{},
		},
		Request: Request{
			Action: request.Action, Resource: request.Resource,
			ResourceType: request.ResourceType, ResourceID: request.ResourceId,
			Purpose: request.Purpose, Session: orEmpty(request.Session.Pointer()),
			Arguments: request.Arguments, ArgumentsDigest: request.ArgumentsDigest,
			ClaimedProperties: request.ClaimedProperties,
		},
		Extensions: map[string]string{},
	}
	for _, label := range raw.Agent.Labels {
		ctx.Agent.Labels[label.F0] = label.F1
	}
	if user := raw.User.Pointer(); user != nil {
		ctx.User = userOf(user)
	}
	for _, hop := range raw.Delegations {
		made := Delegation{
			ID: hop.Id, ToAgent: hop.ToAgent, Purpose: hop.Purpose, Session: hop.Session,
			CreatedAt: timeOf(hop.CreatedAtMs), ExpiresAt: timeOf(hop.ExpiresAtMs),
		}
		for _, permission := range hop.Permissions {
			made.Permissions = append(made.Permissions, Permission(permission))
		}
		ctx.Delegations = append(ctx.Delegations, made)
	}
	for _, fact := range raw.Facts {
		ctx.Facts = append(ctx.Facts, Fact{fact.Template, fact.Value.Pointer()})
	}
	for _, one := range raw.Approvals {
		ctx.Approvals = append(ctx.Approvals, Approval{one.Id, one.Approver, one.Role, timeOf(one.ApprovedAtMs)})
	}
	for _, counter := range raw.Counters {
		made := Counter{Name: counter.Name, Used: counter.Used, WindowStart: timeOf(counter.WindowStartMs)}
		if end := counter.WindowEndMs.Pointer(); end != nil {
			made.WindowEnd = timeOf(*end)
		}
		ctx.Counters = append(ctx.Counters, made)
	}
	if point := raw.EnforcementPoint.Pointer(); point != nil {
		ctx.EnforcementPointID, ctx.EnforcementPointProperties = point.Id, point.AssertedProperties
	}
	for _, extension := range raw.Extensions {
		ctx.Extensions[extension.F0] = extension.F1
	}
	return ctx
}

func userOf(raw *contract.User) *User {
	user := &User{
		ID: raw.Id, Issuer: raw.Issuer, AuthenticatedAt: timeOf(raw.AuthenticatedAtMs),
		ACR: orEmpty(raw.Acr.Pointer()), Claims: raw.Claims,
	}
	for _, group := range raw.Groups {
		user.Groups = append(user.Groups, Group{group.Issuer, group.Name, timeOf(group.AssertedAtMs)})
	}
	return user
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
