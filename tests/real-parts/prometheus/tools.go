//go:build tools

// Package parts names the program that is built here, so that go.mod holds all that it needs.
package parts

import _ "github.com/prometheus/prometheus/cmd/prometheus"
