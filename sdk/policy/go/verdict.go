package attorn

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"attorn-policy/internal/contract"
	"attorn-policy/internal/wit"
)

type kind uint8

const (
	// What a zero Verdict is. It is no answer.
	nothing kind = iota
	allowing
	challenging
	denying
	abstaining
)

// Verdict is what a policy says: what Allow, Challenge, Deny and Abstain make. Each method gives another one. What does not
// fit is kept, and is the error of the call.
type Verdict struct {
	kind        kind
	reasons     []Reason
	approvers   []contract.ApprovalRequirement
	debits      []contract.Debit
	obligations []contract.Obligation
	grantMs     uint64
	uses        uint32
	err         error
}

// Allow says yes, on no terms but the host's own; add terms and reasons.
func Allow() Verdict { return Verdict{kind: allowing} }

// Challenge says only with an approval; say whose by ApprovedBy, at least once.
func Challenge(why Reason) Verdict { return Verdict{kind: challenging, reasons: []Reason{why}} }

// Deny says no, for these reasons. One deny is enough, whatever other policies say.
func Deny(why Reason, more ...Reason) Verdict {
	return Verdict{kind: denying, reasons: append([]Reason{why}, more...)}
}

// Abstain says that this request is not this policy's business.
func Abstain() Verdict { return Verdict{kind: abstaining} }

// Because says why, of an allow; at most 16 reasons.
func (verdict Verdict) Because(why Reason) Verdict {
	if verdict.kind != allowing {
		return verdict.failed(errors.New("`Because` is for an allow"))
	}
	verdict.reasons = append(verdict.reasons[:len(verdict.reasons):len(verdict.reasons)], why)
	return verdict
}

// ForAtMost says that the grant may live no longer than this, a millisecond at least.
func (verdict Verdict) ForAtMost(span time.Duration) Verdict {
	if err := verdict.counted("grant", span.Milliseconds(), NumberMax); err != nil {
		return verdict.failed(err)
	}
	verdict.grantMs = uint64(span.Milliseconds())
	return verdict
}

// Uses says that the grant may be used no more often than this. Once, if it is not called.
func (verdict Verdict) Uses(count int64) Verdict {
	if err := verdict.counted("uses", count, math.MaxUint32); err != nil {
		return verdict.failed(err)
	}
	verdict.uses = uint32(count)
	return verdict
}

// Debit charges a declared counter: amount is 1 or more of its unit, and it must not pass atMost in its window.
func (verdict Verdict) Debit(counter string, amount, atMost uint64) Verdict {
	for _, number := range []struct {
		what  string
		value uint64
	}{{"amount", amount}, {"limit", atMost}} {
		if err := verdict.counted(number.what, int64(min(number.value, math.MaxInt64)), NumberMax); err != nil {
			return verdict.failed(err)
		}
	}
	debit := contract.Debit{Counter: counter, Amount: amount, AtMost: atMost}
	verdict.debits = append(verdict.debits[:len(verdict.debits):len(verdict.debits)], debit)
	return verdict
}

// Oblige says that the enforcement point must do this; if none can, the decision is a deny. The parameters are what
// encoding/json makes an object of.
func (verdict Verdict) Oblige(kind string, parameters any) Verdict {
	text, err := json.Marshal(parameters)
	if err == nil && (len(text) == 0 || text[0] != '{') {
		err = errors.New("its parameters are no JSON object")
	}
	if err == nil {
		err = verdict.hasTerms()
	}
	if err != nil {
		return verdict.failed(fmt.Errorf("obligation `%s`: %w", kind, err))
	}
	obligation := contract.Obligation{Kind: kind, Parameters: string(text)}
	verdict.obligations = append(verdict.obligations[:len(verdict.obligations):len(verdict.obligations)], obligation)
	return verdict
}

// ApprovedBy says, of a challenge, that so many distinct people in this role have to approve: `user`, `operator`, or a
// group's name.
func (verdict Verdict) ApprovedBy(role string, people int) Verdict {
	if verdict.kind != challenging {
		return verdict.failed(errors.New("only a challenge is approved"))
	}
	if people < 1 || people > 16 {
		return verdict.failed(fmt.Errorf("people: %d is no whole number from 1 to 16", people))
	}
	requirement := contract.ApprovalRequirement{Role: role, Count: uint32(people)}
	verdict.approvers = append(verdict.approvers[:len(verdict.approvers):len(verdict.approvers)], requirement)
	return verdict
}

// ApprovedByGroup says the same of members of a group, and is an error for `user` and `operator`, which are roles.
func (verdict Verdict) ApprovedByGroup(name string, people int) Verdict {
	if name == "user" || name == "operator" {
		return verdict.failed(fmt.Errorf("`%s` is a role, and no group goes by its name", name))
	}
	return verdict.ApprovedBy(name, people)
}

// String is what it says and the codes of its reasons: `deny not_listed`.
func (verdict Verdict) String() string {
	text := []string{"nothing", "allow", "challenge", "deny", "abstain"}[verdict.kind]
	for _, reason := range verdict.reasons {
		text += " " + reason.Code
	}
	return text
}

// Reasons are those that it gives.
func (verdict Verdict) Reasons() []Reason { return verdict.reasons }

// Counters are the names of those that it debits.
func (verdict Verdict) Counters() []string {
	names := []string{}
	for _, debit := range verdict.debits {
		names = append(names, debit.Counter)
	}
	return names
}

// The first that went wrong stays.
func (verdict Verdict) failed(err error) Verdict {
	if verdict.err == nil {
		verdict.err = err
	}
	return verdict
}

func (verdict Verdict) hasTerms() error {
	if verdict.kind != allowing && verdict.kind != challenging {
		return errors.New("only an allow and a challenge have terms")
	}
	return nil
}

func (verdict Verdict) counted(what string, number, most int64) error {
	if number < 1 || number > most {
		return fmt.Errorf("%s: %d is no whole number from 1 to %d", what, number, most)
	}
	return verdict.hasTerms()
}

func (verdict Verdict) check() error {
	switch {
	case verdict.err != nil:
		return verdict.err
	case verdict.kind == nothing:
		return errors.New("`Evaluate` said nothing: it has to return what `Allow` and the like make")
	case verdict.kind == challenging && len(verdict.approvers) == 0:
		return errors.New("a challenge has to say whose approval is needed: `ApprovedBy`")
	case len(verdict.approvers) > 8:
		return errors.New("a challenge asks for 8 approvals at most")
	case len(verdict.reasons) > 16 || len(verdict.debits) > 16 || len(verdict.obligations) > 16:
		return errors.New("a verdict has 16 reasons, debits and obligations at most")
	}
	return nil
}

func (verdict Verdict) raw() contract.Verdict {
	reasons := []contract.Reason{}
	for _, reason := range verdict.reasons {
		reasons = append(reasons, contract.Reason{Code: reason.Code, Text: reason.Text})
	}
	terms := contract.Terms{Debits: verdict.debits, Obligations: verdict.obligations}
	if verdict.grantMs != 0 {
		terms.GrantMsMax = wit.Some(verdict.grantMs)
	}
	if verdict.uses != 0 {
		terms.UsesMax = wit.Some(verdict.uses)
	}
	switch verdict.kind {
	case allowing:
		return contract.MakeVerdictAllow(contract.Allow{Terms: terms, Reasons: reasons})
	case challenging:
		challenge := contract.Challenge{Approvers: verdict.approvers, Terms: terms, Reason: reasons[0]}
		return contract.MakeVerdictChallenge(challenge)
	case denying:
		return contract.MakeVerdictDeny(reasons)
	case abstaining:
		return contract.MakeVerdictAbstain()
	default:
		panic("a verdict that was not checked")
	}
}
