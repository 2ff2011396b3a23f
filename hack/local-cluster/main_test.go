package main

import (
	"os"
	"strings"
	"testing"
)

// TestMain lets the test's own binary be the one that a control plane starts its components from.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		main()
		return
	}
	os.Exit(m.Run())
}
