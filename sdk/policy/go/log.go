package attorn

import (
	"fmt"
	"strings"

	"attorn-policy/internal/log"
)

// Debugf writes to the decision record, within a limit, for whoever debugs the policy. It cannot fail.
func Debugf(format string, values ...any) { write(log.LevelDebug, format, values) }

// Infof is for whoever operates it.
func Infof(format string, values ...any) { write(log.LevelInfo, format, values) }

// Warnf says that something is odd, and that the policy went on.
func Warnf(format string, values ...any) { write(log.LevelWarn, format, values) }

// Errorf says that something is wrong; usually an error or a deny follows.
func Errorf(format string, values ...any) { write(log.LevelError, format, values) }

func write(level log.Level, format string, values []any) {
	log.Write(level, strings.ToValidUTF8(fmt.Sprintf(format, values...), "\uFFFD"))
}
