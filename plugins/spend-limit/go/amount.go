package export_attorn_policy_policy

import (
	"encoding/json"
	"math"
	"strconv"
)

// The largest whole number up to which every reader of JSON knows all others.
const safeMax = 1<<53 - 1

// An amount, 1 or more: a JSON integer within the safe range, or a string of decimal digits without sign,
// blank or leading zero, up to what readers with a sign bit hold, too.
func parseAmount(written json.RawMessage) (uint64, bool) {
	digits, most := string(written), uint64(safeMax)
	if text, isText := parseString(written); isText {
		digits, most = text, math.MaxInt64
	}
	amount, valid := parseDigits(digits, most)
	return amount, valid && amount >= 1
}

func parseDigits(digits string, most uint64) (uint64, bool) {
	if digits == "" || digits[0] == '0' && len(digits) > 1 {
		return 0, false
	}
	for _, digit := range []byte(digits) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil && number <= most
}

// What a JSON string says. `null` is none, though a string could be read from it.
func parseString(written json.RawMessage) (string, bool) {
	var text string
	if len(written) == 0 || written[0] != '"' || json.Unmarshal(written, &text) != nil {
		return "", false
	}
	return text, true
}
