// Package exports is what the host calls. It is there in a sandbox alone.
package exports
