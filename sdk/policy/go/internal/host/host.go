// Package host lies between what the host calls and the policy, which says here what it is.
package host

import (
	"attorn-policy/internal/contract"
	"attorn-policy/internal/wit"
)

// Set once, before the host calls anything.
var (
	Describe func() contract.Description
	Init     func(settings string) wit.Result[contract.Requirements, string]
	Evaluate func(ctx contract.Context) wit.Result[contract.Verdict, string]
)
