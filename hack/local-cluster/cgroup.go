package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	cgroupRoot = "/sys/fs/cgroup"
	// The processes in a cgroup are gone a moment after they were killed.
	cgroupPatience = 5 * time.Second
)

// What the kubelet limits pods with.
var neededControllers = []string{"cpu", "cpuset", "memory", "pids"}

// cgroupName gives the cgroup, directly under the root of each hierarchy, of the cluster with that directory. It follows
// from the directory's path, so that whoever removes what a dead cluster left finds both.
func cgroupName(directory string) string {
	digest := sha256.Sum256([]byte(directory))
	return "local-cluster-" + hex.EncodeToString(digest[:6])
}

// hierarchies gives the roots of this machine's cgroup hierarchies: one of the second version, or one a controller.
func hierarchies() ([]string, error) {
	var root unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &root); err != nil {
		return nil, fmt.Errorf("look at %s: %w", cgroupRoot, err)
	}
	if root.Type == unix.CGROUP2_SUPER_MAGIC {
		return []string{cgroupRoot}, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		path := filepath.Join(cgroupRoot, entry.Name())
		var status unix.Statfs_t
		// Names such as cpu and cpuacct may be links to one hierarchy, which is listed by itself.
		if !entry.IsDir() || unix.Statfs(path, &status) != nil {
			continue
		}
		// One of the second version may be there beside the others. Containers get cgroups in it too.
		if status.Type == unix.CGROUP_SUPER_MAGIC || status.Type == unix.CGROUP2_SUPER_MAGIC {
			found = append(found, path)
		}
	}
	return found, nil
}

// missingControllers names what the kubelet needs and this machine does not have.
func missingControllers() []string {
	var there []string
	if content, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		there = strings.Fields(string(content))
	} else if mounted, err := hierarchies(); err == nil {
		for _, path := range mounted {
			there = append(there, strings.Split(filepath.Base(path), ",")...)
		}
	}
	return without(neededControllers, there)
}

// makeCgroup makes the cgroup that everything in the cluster's pods runs in.
func makeCgroup(name string) error {
	mounted, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range mounted {
		// The second version, where it is the only one, hands on only the controllers that are named so.
		if hierarchy == cgroupRoot {
			wanted := "+" + strings.Join(neededControllers, " +")
			if err := os.WriteFile(filepath.Join(hierarchy, "cgroup.subtree_control"), []byte(wanted), 0); err != nil {
				return fmt.Errorf("hand the controllers of %s on: %w", hierarchy, err)
			}
		}
		if err := os.Mkdir(filepath.Join(hierarchy, name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// removeCgroup waits until the processes in it are gone, which have been killed already.
func removeCgroup(name string) error {
	mounted, err := hierarchies()
	if err != nil {
		// A machine without cgroups has none of ours.
		return nil
	}
	var errs []error
	for _, hierarchy := range mounted {
		path := filepath.Join(hierarchy, name)
		deadline := time.Now().Add(cgroupPatience)
		err := removeCgroupTree(path)
		for errors.Is(err, unix.EBUSY) && time.Now().Before(deadline) {
			time.Sleep(pollInterval)
			err = removeCgroupTree(path)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// removeCgroupTree removes the directories; their files go with them and cannot be removed.
func removeCgroupTree(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeCgroupTree(filepath.Join(path, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// without gives the wanted that are not there.
func without(wanted, there []string) []string {
	var missing []string
	for _, name := range wanted {
		found := false
		for _, other := range there {
			found = found || other == name
		}
		if !found {
			missing = append(missing, name)
		}
	}
	return missing
}
