package attorn

// What the host calls is there when the policy is.
import _ "attorn-policy/internal/exports"
