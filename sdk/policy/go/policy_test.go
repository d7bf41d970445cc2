package attorn_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	attorn "attorn-policy"
	"attorn-policy/attorntest"
)

type limit struct {
	Max  int64  `json:"max" min:"1" doc:"At most."`
	Role string `json:"role" max:"8"`
}

func (l *limit) Validate() error {
	if l.Role == "nobody" {
		return errors.New("nobody approves anything")
	}
	return nil
}

type settings struct {
	Currency string                 `json:"currency" min:"3" max:"3"`
	Actions  []attorn.ActionPattern `json:"actions" min:"1"`
	Cents    uint32                 `json:"cents"`
	Strict   bool                   `json:"strict"`
	Window   string                 `json:"window" enum:"hour,day"`
	Limit    *limit                 `json:"limit"`
	Tags     *map[string]int        `json:"tags"`
}

var well = attorn.PublicReason("well", "all is well")

func policy(evaluate func(ctx *attorn.Context) (attorn.Verdict, error)) attorn.Policy[settings] {
	return attorn.Policy[settings]{
		Name: "tested", Version: "1.2.3", Reasons: []attorn.Reason{well},
		Requirements: func(settings *settings) (attorn.Requirements, error) {
			if settings.Limit != nil && settings.Limit.Max < int64(settings.Cents) {
				return attorn.Requirements{}, errors.New("at `limit.max`: it is below `cents`")
			}
			return attorn.Requirements{
				Facts:    []string{"user/{user.id}/risk"},
				Counters: []attorn.CounterDeclaration{{Name: "spent", Unit: "cents", Scope: attorn.ScopeAgent, Window: attorn.Day}},
			}, nil
		},
		Evaluate: func(ctx *attorn.Context, _ *settings) (attorn.Verdict, error) { return evaluate(ctx) },
	}
}

const good = `"actions":["a.*"],"cents":5,"currency":"EUR","strict":true,"window":"day"`

func allow(*attorn.Context) (attorn.Verdict, error) { return attorn.Allow(), nil }

func TestEachMistakeInSettingsIsSaidWithItsPlace(t *testing.T) {
	for _, one := range [][2]string{
		{``, "settings: it is no JSON"},
		{`{} {}`, "settings: it is no JSON"},
		{`[]`, "settings: it is no object"},
		{`null`, "settings: it is no object"},
		{`{}`, "settings: missing field `currency`"},
		{`{` + good + `,"cent":1}`, "settings: at `cent`: unknown field `cent`"},
		{`{` + good + `,"Cents":1}`, "settings: at `Cents`: unknown field `Cents`"},
		{`{` + good + `,"limit":null}`, "settings: at `limit`: it is no object"},
		{`{` + good + `,"limit":{"role":"x"}}`, "settings: at `limit`: missing field `max`"},
		{`{` + good + `,"limit":{"max":0,"role":"x"}}`, "settings: at `limit.max`: 0, and 1 or more is right"},
		{`{` + good + `,"limit":{"max":4,"role":"x"}}`, "settings: at `limit.max`: it is below `cents`"},
		{`{` + good + `,"limit":{"max":9,"role":"a long role"}}`, "settings: at `limit.role`: 11 bytes, and 8 is the most"},
		{`{` + good + `,"limit":{"max":9,"role":"nobody"}}`, "settings: at `limit`: nobody approves anything"},
		{`{` + good + `,"limit":{"max":9.5,"role":"x"}}`, "settings: at `limit.max`: it is no whole number that every reader of JSON knows"},
		{`{` + good + `,"limit":{"max":9007199254740992,"role":"x"}}`, "settings: at `limit.max`: it is no whole number that every reader of JSON knows"},
		{`{` + good + `,"tags":{"b":"x","a":"y"}}`, "settings: at `tags.a`: it is no whole number that every reader of JSON knows"},
		{strings.Replace(`{`+good+`}`, `"EUR"`, `"EURO"`, 1), "settings: at `currency`: 4 bytes, and 3 to 3 are right"},
		{strings.Replace(`{`+good+`}`, `"EUR"`, `null`, 1), "settings: at `currency`: it is no text"},
		{strings.Replace(`{`+good+`}`, `["a.*"]`, `[]`, 1), "settings: at `actions`: 0 of them, and 1 or more is right"},
		{strings.Replace(`{`+good+`}`, `a.*`, `a*`, 1), "settings: at `actions[0]`: `a*` is no pattern of actions, such as `account.read`, `account.*` or `*`"},
		{strings.Replace(`{`+good+`}`, `:5`, `:-1`, 1), "settings: at `cents`: -1 is no uint32"},
		{strings.Replace(`{`+good+`}`, `:5`, `:4294967296`, 1), "settings: at `cents`: 4294967296 is no uint32"},
		{strings.Replace(`{`+good+`}`, `true`, `1`, 1), "settings: at `strict`: it is neither `true` nor `false`"},
		{strings.Replace(`{`+good+`}`, `"day"`, `"week"`, 1), "settings: at `window`: it is none of `hour`, `day`"},
	} {
		if said := attorntest.Refused(t, policy(allow), one[0]); said != one[1] {
			t.Errorf("%s\n%s, expected\n%s", one[0], said, one[1])
		}
	}
	tested := attorntest.Start(t, policy(allow), `{`+good+`,"limit":{"max":5,"role":"x"},"tags":{"a":1}}`)
	if len(tested.Requirements.Facts) != 1 || len(tested.Requirements.Reasons) != 1 {
		t.Errorf("%+v", tested.Requirements)
	}
	// What panics refuses, too.
	panics := policy(allow)
	panics.Requirements = func(*settings) (attorn.Requirements, error) { panic("odd") }
	if said := attorntest.Refused(t, panics, `{`+good+`}`); said != "panic: odd" {
		t.Error(said)
	}
}

func TestWhatDoesNotFitFailsWhateverIsReturned(t *testing.T) {
	for _, one := range []struct {
		evaluate func() attorn.Verdict
		said     string
	}{
		{func() attorn.Verdict { return attorn.Verdict{} }, "failed: `Evaluate` said nothing: it has to return what `Allow` and the like make"},
		{func() attorn.Verdict { panic("odd") }, "failed: panic: odd"},
		{func() attorn.Verdict { return attorn.Allow().Debit("lent", 5, 10) }, "failed: counter `lent` is not declared"},
		{func() attorn.Verdict { return attorn.Deny(attorn.PublicReason("unknown", "")) }, "failed: reason `unknown` is not declared"},
		{func() attorn.Verdict { return attorn.Challenge(well) }, "failed: a challenge has to say whose approval is needed: `ApprovedBy`"},
		{func() attorn.Verdict { return attorn.Challenge(well).ApprovedByGroup("user", 1) }, "failed: `user` is a role, and no group goes by its name"},
		{func() attorn.Verdict { return attorn.Challenge(well).ApprovedBy("user", 17) }, "failed: people: 17 is no whole number from 1 to 16"},
		{func() attorn.Verdict { return attorn.Deny(well).Uses(1) }, "failed: only an allow and a challenge have terms"},
		{func() attorn.Verdict { return attorn.Deny(well).Because(well) }, "failed: `Because` is for an allow"},
		{func() attorn.Verdict { return attorn.Allow().ApprovedBy("user", 1) }, "failed: only a challenge is approved"},
		{func() attorn.Verdict { return attorn.Allow().Uses(0) }, "failed: uses: 0 is no whole number from 1 to 4294967295"},
		{func() attorn.Verdict { return attorn.Allow().ForAtMost(time.Microsecond) }, "failed: grant: 0 is no whole number from 1 to 9007199254740991"},
		{func() attorn.Verdict { return attorn.Allow().Debit("spent", 0, 1) }, "failed: amount: 0 is no whole number from 1 to 9007199254740991"},
		{func() attorn.Verdict { return attorn.Allow().Debit("spent", math.MaxUint64, 1) }, "failed: amount: 9223372036854775807 is no whole number from 1 to 9007199254740991"},
		{func() attorn.Verdict { return attorn.Allow().Oblige("mask", []int{1}) }, "failed: obligation `mask`: its parameters are no JSON object"},
		{func() attorn.Verdict { return attorn.Allow().Oblige("mask", math.Inf) }, "failed: obligation `mask`: json: unsupported type: func(int) float64"},
		{func() attorn.Verdict { return attorn.Abstain().Oblige("mask", map[string]int{}) }, "failed: obligation `mask`: only an allow and a challenge have terms"},
		{func() attorn.Verdict {
			verdict := attorn.Allow()
			for range 17 {
				verdict = verdict.Debit("spent", 1, 1)
			}
			return verdict
		}, "failed: a verdict has 16 reasons, debits and obligations at most"},
		{func() attorn.Verdict {
			verdict := attorn.Challenge(well)
			for range 9 {
				verdict = verdict.ApprovedBy("user", 1)
			}
			return verdict
		}, "failed: a challenge asks for 8 approvals at most"},
		{func() attorn.Verdict {
			return attorn.Allow().Because(well).Uses(2).ForAtMost(time.Minute).Debit("spent", 1, 2)
		}, "allow well"},
		{func() attorn.Verdict { return attorn.Challenge(well.WithText("here")).ApprovedByGroup("/Finance", 2) }, "challenge well"},
		{attorn.Abstain, "abstain"},
	} {
		evaluate := func(*attorn.Context) (attorn.Verdict, error) { return one.evaluate(), nil }
		tested := attorntest.Start(t, policy(evaluate), `{`+good+`}`)
		if said := tested.Says(attorntest.Context("faq.read", "article/42")); said != one.said {
			t.Errorf("%s, expected %s", said, one.said)
		}
	}
}

// Each method gives another verdict, and leaves the one before as it was.
func TestAVerdictIsNotChangedByWhatIsMadeOfIt(t *testing.T) {
	base := attorn.Allow().Because(well).Because(well).Because(well)
	one, other := base.Because(well.WithText("one")), base.Because(well.WithText("other"))
	if one.Reasons()[3].Text != "one" || other.Reasons()[3].Text != "other" || len(base.Reasons()) != 3 {
		t.Error(base, one, other)
	}
}

func TestTheContextIsReadOrAnErrorSaysWhyNot(t *testing.T) {
	risk := func(ctx *attorn.Context) (attorn.Verdict, error) {
		var risk int
		isKnown, err := ctx.Fact("user/{user.id}/risk", &risk)
		if err != nil || !isKnown || risk > 5 {
			return attorn.Abstain(), err
		}
		return attorn.Allow(), nil
	}
	text := func(text string) *string { return &text }
	for _, one := range []struct {
		facts []attorn.Fact
		said  string
	}{
		{nil, "failed: fact `user/{user.id}/risk` is not among the requirements"},
		{[]attorn.Fact{{Template: "user/{user.id}/risk"}}, "abstain"},
		{[]attorn.Fact{{"user/{user.id}/risk", text("9")}}, "abstain"},
		{[]attorn.Fact{{"user/{user.id}/risk", text("1")}}, "allow"},
		{[]attorn.Fact{{"user/{user.id}/risk", text(`"1"`)}}, "failed: fact `user/{user.id}/risk`: it is no whole number that every reader of JSON knows"},
	} {
		ctx := attorntest.Context("faq.read", "article/42")
		ctx.Facts = one.facts
		if said := attorntest.Start(t, policy(risk), `{`+good+`}`).Says(ctx); said != one.said {
			t.Errorf("%s, expected %s", said, one.said)
		}
	}

	ctx := attorntest.Context("faq.read", "article/42")
	var arguments struct {
		Amount attorn.Amount   `json:"amount"`
		Note   *string         `json:"note"`
		Rest   json.RawMessage `json:"rest"`
	}
	ctx.Request.Arguments = `{"amount":"12","other":1,"rest":[ 1]}`
	if err := ctx.ReadArguments(&arguments); err != nil || arguments.Amount != 12 || arguments.Note != nil || string(arguments.Rest) != "[ 1]" {
		t.Error(err, arguments)
	}
	ctx.Request.Arguments = `{"amount":"012","rest":1}`
	if err := ctx.ReadArguments(&arguments); err == nil || !strings.HasPrefix(err.Error(), "arguments: at `amount`: it is no whole number of minor") {
		t.Error(err)
	}
	if err := ctx.ReadArguments(arguments); err == nil {
		t.Error("read into what is no pointer")
	}
	if isThere, err := ctx.ReadClaims(&arguments); isThere || err != nil {
		t.Error("claims without a user")
	}
	ctx.User = attorntest.User("usr-alice")
	var claims map[string]json.RawMessage
	if isThere, err := ctx.ReadClaims(&claims); !isThere || err != nil {
		t.Error(err)
	}
	if _, err := ctx.Counter("spent"); err == nil || err.Error() != "counter `spent` is not among the requirements" {
		t.Error(err)
	}
	for value, said := range map[string]string{
		`{"kind":"postgresql","later":[],"target":"tgt"}`: "postgresql tgt",
		`{"kind":"postgresql","target":null}`:             "postgresql ",
		`{"kind":7,"target":null}`:                        "attorn.credential: at `kind`: it is no text",
		`{"kind":"x","target":7}`:                         "attorn.credential: it is no text",
	} {
		ctx.Extensions["attorn.credential"] = value
		wanted, err := ctx.WantedCredential()
		if err != nil && err.Error() != said || err == nil && wanted.Kind+" "+wanted.Target != said {
			t.Error(value, wanted, err)
		}
	}
}

func TestWhatIsNoAmountIsNone(t *testing.T) {
	for _, text := range []string{
		"0", "-0", "-1", "1.5", "1.0", "1e3", "9007199254740992", "18446744073709551616", "null", "true", "[]", "{}", "",
		`""`, `"0"`, `"00"`, `"01"`, `"-1"`, `"+1"`, `" 1"`, `"1 "`, `"1\n"`, `"1.0"`, `"1e3"`, `"0x10"`, `"1_000"`, `"٣"`,
		`"9223372036854775808"`, `"18446744073709551616"`,
	} {
		if amount, err := attorn.ParseAmount(json.RawMessage(text)); err == nil {
			t.Error(text, amount)
		}
	}
	for text, amount := range map[string]attorn.Amount{
		"1": 1, "9007199254740991": attorn.NumberMax, `"9007199254740993"`: attorn.NumberMax + 2, `"9223372036854775807"`: math.MaxInt64,
	} {
		if found, err := attorn.ParseAmount(json.RawMessage(text)); err != nil || found != amount {
			t.Error(text, found, err)
		}
	}
}

func TestPatternsAreTheHosts(t *testing.T) {
	text, err := os.ReadFile("../../../tests/vectors/patterns.json")
	if err != nil {
		t.Skip("the vectors are not here")
	}
	type kind struct {
		Covers []struct {
			Pattern string
			Yes, No []string
		}
		Refused []string
	}
	var vectors struct{ Actions, Resources kind }
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	check := func(vectors kind, parse func(string) error, covers func(pattern, path string) bool) {
		if len(vectors.Refused) == 0 || len(vectors.Covers) == 0 {
			t.Fatal("there are no vectors")
		}
		for _, text := range vectors.Refused {
			if parse(text) == nil || covers(text, text) {
				t.Error("taken", text)
			}
		}
		for _, row := range vectors.Covers {
			if err := parse(row.Pattern); err != nil {
				t.Error(err)
			}
			for _, path := range row.Yes {
				if !covers(row.Pattern, path) {
					t.Error(row.Pattern, path)
				}
			}
			for _, path := range row.No {
				if covers(row.Pattern, path) {
					t.Error(row.Pattern, path)
				}
			}
		}
	}
	check(vectors.Actions,
		func(text string) error { return new(attorn.ActionPattern).UnmarshalText([]byte(text)) },
		func(pattern, path string) bool { return attorn.ActionPattern(pattern).Covers(path) })
	check(vectors.Resources,
		func(text string) error { return new(attorn.ResourcePattern).UnmarshalText([]byte(text)) },
		func(pattern, path string) bool { return attorn.ResourcePattern(pattern).Covers(path) })
}
