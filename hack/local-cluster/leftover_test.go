package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// descendants gives a process, and all that it and they have started, also those in namespaces of their own.
func descendants(root int) []int {
	children := map[int][]int{}
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// The program's name comes before, in parentheses, and may hold anything; then come the state and the parent.
		fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+1:]))
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], id)
	}
	found := []int{root}
	for next := 0; next < len(found); next++ {
		found = append(found, children[found[next]]...)
	}
	return found
}

// namespacesOf gives the namespaces that these processes have and this one does not.
func namespacesOf(processes []int) []string {
	var found []string
	for _, kind := range []string{"pid", "mnt", "net", "uts", "ipc", "cgroup"} {
		own, _ := os.Readlink("/proc/self/ns/" + kind)
		for _, process := range processes {
			other, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", process, kind))
			if err == nil && other != own && !slices.Contains(found, other) {
				found = append(found, other)
			}
		}
	}
	return found
}

// inhabitants gives the processes in any of these namespaces.
func inhabitants(namespaces []string) []string {
	var found []string
	paths, _ := filepath.Glob("/proc/[0-9]*/ns/*")
	for _, path := range paths {
		if in, err := os.Readlink(path); err == nil && slices.Contains(namespaces, in) {
			found = append(found, path)
		}
	}
	return found
}

// rules gives this machine's packet filter without the counters.
func rules(t *testing.T) string {
	t.Helper()
	saved, err := exec.Command("iptables-save").Output()
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^#.*\n|\[\d+:\d+\]`).ReplaceAllString(string(saved), "")
}

// mustBeEmptied waits until no process is in these namespaces.
func mustBeEmptied(t *testing.T, namespaces []string) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(longestWait); time.Now().Before(deadline); time.Sleep(pollInterval) {
		if left = inhabitants(namespaces); len(left) == 0 {
			return
		}
	}
	t.Errorf("processes are left: %v", left)
}

func TestEndedClusterLeavesNothingInTheKernel(t *testing.T) {
	before := rules(t)
	l := launchCluster(t)
	directory, namespaces := l.directory(), namespacesOf(descendants(l.command.Process.Pid))
	if len(namespaces) < 5 {
		t.Fatalf("the node has few namespaces of its own: %v", namespaces)
	}
	l.input.Close()
	if err := l.command.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	mustBeEmptied(t, namespaces)
	l.mustLeaveNothingOf(directory, l.address())
	if after := rules(t); after != before {
		t.Errorf("packet filter before:\n%s\nafter:\n%s", before, after)
	}
}

// Nobody is left who could clean up, so the next start does, or the verb that ends a cluster.
func TestNothingIsLeftOnceAClusterWhoseEveryProcessWasKilledIsSwept(t *testing.T) {
	before := rules(t)
	l := launchCluster(t)
	directory := l.directory()
	processes := descendants(l.command.Process.Pid)
	namespaces := namespacesOf(processes)
	// The watcher first, which would clean up after the others.
	slices.Reverse(processes)
	for _, process := range processes {
		_ = syscall.Kill(process, syscall.SIGSTOP)
	}
	for _, process := range processes {
		_ = syscall.Kill(process, syscall.SIGKILL)
	}
	_ = l.command.Wait()
	mustBeEmptied(t, namespaces)
	mustExist(t, directory, true)

	sweep := exec.Command("/proc/self/exe", "sweep")
	sweep.Env = append(os.Environ(), "TMPDIR="+l.temporary)
	if output, err := sweep.CombinedOutput(); err != nil {
		t.Errorf("sweep: %v: %s", err, output)
	}
	// Where the user has put it nobody else looks.
	if err := os.Remove(l.kubeconfig); err != nil {
		t.Error(err)
	}
	l.mustLeaveNothingOf(directory, l.address())
	if after := rules(t); after != before {
		t.Errorf("packet filter before:\n%s\nafter:\n%s", before, after)
	}
}
