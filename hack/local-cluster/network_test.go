package main

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestNetworksAreApart(t *testing.T) {
	var networks []*network
	for number := range networkCount {
		networks = append(networks, nodeNetwork(number))
	}
	for number, n := range networks {
		parts := []*net.IPNet{n.pods, n.services, n.link}
		for index, part := range parts {
			if !n.whole.Contains(part.IP) {
				t.Errorf("%s is outside of %s", part, n.whole)
			}
			for _, other := range parts[:index] {
				if overlap(part, other) {
					t.Errorf("%s overlaps %s", part, other)
				}
			}
		}
		for _, other := range networks[:number] {
			if overlap(n.whole, other.whole) {
				t.Errorf("%s overlaps %s", n.whole, other.whole)
			}
		}
		if !n.link.Contains(n.server) || !n.link.Contains(n.node) || !n.services.Contains(n.dns) {
			t.Errorf("network %d has addresses outside of it", number)
		}
	}
	if got := networks[3].apiService().String(); got != "10.203.128.1" {
		t.Errorf("the API server's service has the address %s", got)
	}
}

// mkMachine starts a process in a network of its own.
func mkMachine(t *testing.T) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root makes networks")
	}
	command := exec.Command("sleep", "600")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	return command
}

func TestEachLinkHasItsNetworkAndEndsWithItsMachine(t *testing.T) {
	var links []*link
	for range 2 {
		machine := mkMachine(t)
		l, err := connect(machine.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		defer l.remove()
		for _, other := range links {
			if other.number == l.number {
				t.Errorf("both are number %d", l.number)
			}
		}
		links = append(links, l)
		if used, err := isRouted(l.network.whole); err != nil || !used {
			t.Errorf("no route to %s: %v", l.network.whole, err)
		}
		defer func() {
			_ = machine.Process.Kill()
			_ = machine.Wait()
			for deadline := time.Now().Add(longestWait); ; time.Sleep(pollInterval) {
				_, err := net.InterfaceByName(l.name)
				if err != nil {
					return
				}
				if time.Now().After(deadline) {
					t.Errorf("%s outlives its machine", l.name)
					return
				}
			}
		}()
	}
}
