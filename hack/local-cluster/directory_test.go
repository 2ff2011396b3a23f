package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func mustExist(t *testing.T, path string, want bool) {
	t.Helper()
	_, err := os.Lstat(path)
	if exists := err == nil; exists != want {
		t.Errorf("%s exists: %v, want %v", path, exists, want)
	}
}

func TestStartSweepsDirectoriesWithoutOwner(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	living, err := newPrivateDirectory()
	if err != nil {
		t.Fatal(err)
	}
	defer living.remove()
	dead, err := newPrivateDirectory()
	if err != nil {
		t.Fatal(err)
	}
	// As the kernel does when the owner dies.
	dead.lock.Close()

	next, err := newPrivateDirectory()
	if err != nil {
		t.Fatal(err)
	}
	defer next.remove()
	mustExist(t, living.path, true)
	mustExist(t, dead.path, false)
	mustExist(t, next.path, true)
}

func TestClaimRefusesADirectoryInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	owner, err := claimDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := claimDirectory(path); !errors.Is(err, errInUse) {
		t.Errorf("second claim: %v", err)
	}
	if err := owner.remove(); err != nil {
		t.Error(err)
	}
	mustExist(t, path, false)
}

func TestClaimRefusesADirectoryOfOthers(t *testing.T) {
	path := t.TempDir()
	file := filepath.Join(path, "precious")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := claimDirectory(path); err == nil {
		t.Error("claimed")
	}
	mustExist(t, file, true)
}

func TestClaimClearsWhatADeadClusterLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	dead, err := claimDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(path, "etcd")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	dead.lock.Close()

	owner, err := claimDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.remove()
	mustExist(t, left, false)
}

func TestRemoveSparesALaterClustersKubeconfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := writeAtomically(path, []byte("later")); err != nil {
		t.Fatal(err)
	}
	if err := removeIfSame(path, []byte("earlier")); err != nil {
		t.Error(err)
	}
	mustExist(t, path, true)
	if err := removeIfSame(path, []byte("later")); err != nil {
		t.Error(err)
	}
	mustExist(t, path, false)
	if err := removeIfSame(path, []byte("later")); err != nil {
		t.Errorf("a file that is gone: %v", err)
	}
}
