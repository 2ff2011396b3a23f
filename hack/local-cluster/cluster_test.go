package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// launchCluster starts a real cluster with a node, from the test's own binary and the images that the script makes.
func launchCluster(t *testing.T) *launched {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	if err := checkMachine(os.TempDir()); err != nil {
		t.Skip(err)
	}
	built, err := exec.Command("../cluster.sh", "build").Output()
	if err != nil {
		t.Fatal(err)
	}
	binary := string(bytes.TrimSpace(built))
	return launch(t, "cluster", "--images", filepath.Join(filepath.Dir(binary), "images"))
}

// mustLeaveNothingOf waits until there is nothing of the node either.
func (l *launched) mustLeaveNothingOf(directory string, host net.IP) {
	l.t.Helper()
	l.mustLeaveNothing()
	var left []string
	for deadline := time.Now().Add(longestWait); time.Now().Before(deadline); time.Sleep(pollInterval) {
		left = nil
		for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
			found, _ := filepath.Glob(pattern + cgroupName(directory))
			left = append(left, found...)
		}
		addresses, _ := net.InterfaceAddrs()
		for _, address := range addresses {
			if network, ok := address.(*net.IPNet); ok && network.IP.Equal(host) {
				left = append(left, address.String())
			}
		}
		mounts, _ := os.ReadFile("/proc/self/mountinfo")
		if strings.Contains(string(mounts), directory) {
			left = append(left, "mounts in "+directory)
		}
		if len(left) == 0 {
			return
		}
	}
	l.t.Errorf("left behind: %v", left)
}

func (l *launched) directory() string {
	l.t.Helper()
	found, err := filepath.Glob(filepath.Join(l.temporary, directoryPrefix+"*"))
	if err != nil || len(found) != 1 {
		l.t.Fatalf("directories: %v %v", found, err)
	}
	return found[0]
}

func TestClusterRunsPodsWhateverItsKubeletDoes(t *testing.T) {
	l := launchCluster(t)
	directory := l.directory()
	pods := l.client().CoreV1().Pods(metav1.NamespaceSystem)
	dns := func() corev1.Pod {
		found, err := pods.List(t.Context(), metav1.ListOptions{LabelSelector: "k8s-app=kube-dns"})
		if err != nil || len(found.Items) != 1 {
			t.Fatalf("CoreDNS has pods %v: %v", found, err)
		}
		return found.Items[0]
	}
	before := dns()

	l.say("stop-kubelet", "ok stop-kubelet")
	l.say("stop-kubelet", "error stop-kubelet: kubelet does not run")
	l.say("start-kubelet", "ok start-kubelet")
	l.say("pause-kubelet", "ok pause-kubelet")
	l.say("resume-kubelet", "ok resume-kubelet")
	l.say("restart-kube-proxy", "ok restart-kube-proxy")
	l.say("restart-apiserver", "ok restart-apiserver")
	l.say("restart-moon", "error restart-moon: no such command")
	config := l.config()
	if err := errorOf(waitUntilNodeReady(t.Context(), config, "unused"), waitUntilReady(t.Context(), config)); err != nil {
		t.Error(err)
	}
	if after := dns(); after.UID != before.UID || after.Status.ContainerStatuses[0].RestartCount > 0 {
		t.Errorf("CoreDNS was restarted: %v", after.Status)
	}

	l.input.Close()
	if err := l.command.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	l.mustLeaveNothingOf(directory, l.address())
}

func TestKilledClusterLeavesNothingAndItsNeighbourAlone(t *testing.T) {
	one, other := launchCluster(t), launchCluster(t)
	directory, address := one.directory(), one.address()
	if err := one.command.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = one.command.Wait()
	one.mustLeaveNothingOf(directory, address)
	if err := waitUntilReady(t.Context(), other.config()); err != nil {
		t.Error(err)
	}
	other.say("restart-kubelet", "ok restart-kubelet")
}
