//go:build !wasip1

// Package log writes to the host's log; without a host, nowhere.
package log

const (
	LevelDebug uint8 = 0
	LevelInfo  uint8 = 1
	LevelWarn  uint8 = 2
	LevelError uint8 = 3
)

type Level = uint8

func Write(Level, string) {}
