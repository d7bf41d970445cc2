module attorn-policy

go 1.25
