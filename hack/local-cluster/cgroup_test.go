package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestCgroupIsNamedAfterItsDirectory(t *testing.T) {
	one, other := cgroupName("/tmp/one"), cgroupName("/tmp/other")
	if one == other || one != cgroupName("/tmp/one") {
		t.Errorf("%s and %s", one, other)
	}
}

func TestMissingNamesAreNamed(t *testing.T) {
	missing := without([]string{"cpu", "memory", "pids"}, []string{"pids", "cpu", "io"})
	if !slices.Equal(missing, []string{"memory"}) {
		t.Errorf("missing: %v", missing)
	}
}

func TestCgroupGoesWithWhatIsInIt(t *testing.T) {
	if os.Geteuid() != 0 || len(missingControllers()) > 0 {
		t.Skip("only root makes cgroups, where there are any")
	}
	name := cgroupName(t.TempDir())
	if err := makeCgroup(name); err != nil {
		t.Fatal(err)
	}
	mounted, err := hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	for _, hierarchy := range mounted {
		if err := os.MkdirAll(filepath.Join(hierarchy, name, "pods", "one"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := removeCgroup(name); err != nil {
			t.Error(err)
		}
	}
	for _, hierarchy := range mounted {
		mustExist(t, filepath.Join(hierarchy, name), false)
	}
}
