module attorn-spend-limit

go 1.25

require attorn-policy v0.0.0

replace attorn-policy => ../../../sdk/policy/go
