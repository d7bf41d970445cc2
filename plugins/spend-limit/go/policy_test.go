package policy_test

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	attorn "attorn-policy"
	"attorn-policy/attorntest"
	policy "attorn-spend-limit"
)

const settings = `{"amount_argument":"amount","currency_argument":"currency","currency":"EUR","scope":"user_agent",
	"window":"day","allow_max":5000,"challenge":{"max":20000,"role":"operator","count":1}}`

func context(used uint64, amount uint64) *attorn.Context {
	ctx := attorntest.Context("payment.create", "account/42")
	ctx.User = attorntest.User("usr-alice")
	ctx.Request.Arguments = fmt.Sprintf(`{"amount":"%d","currency":"EUR"}`, amount)
	ctx.Counters = []attorn.Counter{{Name: "spent_eur", Used: used}}
	return ctx
}

func TestNoWayOfSpendingPassesALimit(t *testing.T) {
	tested := attorntest.Start(t, policy.Policy, settings)
	for _, used := range []uint64{0, 1, 4999, 5000, 5001, 19999, 20000, 20001, math.MaxUint64 - 1, math.MaxUint64} {
		for _, amount := range []uint64{1, 2, 4999, 5000, 5001, 19999, 20000, 20001, math.MaxUint32, math.MaxInt64} {
			total := new(big.Int).Add(new(big.Int).SetUint64(used), new(big.Int).SetUint64(amount))
			expected := "deny over_limit"
			if total.Cmp(big.NewInt(5000)) <= 0 {
				expected = "allow within_limit"
			} else if total.Cmp(big.NewInt(20000)) <= 0 {
				expected = "challenge above_limit"
			}
			if said := tested.Says(context(used, amount)); said != expected {
				t.Errorf("%d after %d: %s, expected %s", amount, used, said, expected)
			}
		}
	}
}

func TestAHostThatCountsNothingGetsAnErrorAndNoVerdict(t *testing.T) {
	ctx := context(0, 1)
	ctx.Counters = nil
	said := attorntest.Start(t, policy.Policy, settings).Says(ctx)
	if said != "failed: counter `spent_eur` is not among the requirements" {
		t.Error(said)
	}
}
