package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const longestWait = 2 * time.Minute

// launched is a control plane as a test in another language has it: a process, two pipes and a kubeconfig.
type launched struct {
	t          *testing.T
	command    *exec.Cmd
	input      io.WriteCloser
	answers    *bufio.Reader
	kubeconfig string
	temporary  string
	// Where the API server is.
	host string
}

// launch starts a real control plane or cluster, from the test's own binary.
func launch(t *testing.T, arguments ...string) *launched {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	// Not the test's own: its name makes the path longer than a socket's may be.
	temporary, err := os.MkdirTemp("", "lc-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temporary) })
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	command := exec.Command("/proc/self/exe", append(arguments, "--exit-with-stdin", "--kubeconfig", kubeconfig)...)
	command.Env = append(os.Environ(), "TMPDIR="+temporary)
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	l := &launched{t: t, command: command, input: input, answers: bufio.NewReader(output), kubeconfig: kubeconfig, temporary: temporary}
	line := l.answer()
	address, ready := strings.CutPrefix(line, "ready https://")
	if !ready {
		t.Fatalf("said %q", line)
	}
	l.host, _, err = net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *launched) address() net.IP {
	return net.ParseIP(l.host)
}

func (l *launched) config() *rest.Config {
	l.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", l.kubeconfig)
	if err != nil {
		l.t.Fatal(err)
	}
	return config
}

func (l *launched) client() *kubernetes.Clientset {
	l.t.Helper()
	client, err := kubernetes.NewForConfig(l.config())
	if err != nil {
		l.t.Fatal(err)
	}
	return client
}

func (l *launched) answer() string {
	l.t.Helper()
	line, err := l.answers.ReadString('\n')
	if err != nil {
		l.t.Fatalf("read an answer: %v", err)
	}
	return strings.TrimSpace(line)
}

func (l *launched) say(command, want string) {
	l.t.Helper()
	fmt.Fprintln(l.input, command)
	if got := l.answer(); got != want {
		l.t.Errorf("%s: answered %q, want %q", command, got, want)
	}
}

// mustLeaveNothing waits until the directory for temporary files is empty and the kubeconfig gone.
func (l *launched) mustLeaveNothing() {
	l.t.Helper()
	var left []string
	for deadline := time.Now().Add(longestWait); time.Now().Before(deadline); time.Sleep(pollInterval) {
		left, _ = filepath.Glob(filepath.Join(l.temporary, "*"))
		if _, err := os.Stat(l.kubeconfig); err == nil {
			left = append(left, l.kubeconfig)
		}
		if len(left) == 0 {
			return
		}
	}
	l.t.Errorf("left behind: %v", left)
}

func TestControlPlaneServesAndEndsWithItsInput(t *testing.T) {
	l := launch(t, "control-plane")
	if !l.address().IsLoopback() {
		t.Errorf("it is reached from outside, at %s", l.host)
	}
	namespaces := l.client().CoreV1().Namespaces()
	if _, err := namespaces.Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}

	l.say("stop-apiserver", "ok stop-apiserver")
	l.say("stop-apiserver", "error stop-apiserver: the API server does not run")
	l.say("start-apiserver", "ok start-apiserver")
	l.say("pause-apiserver", "ok pause-apiserver")
	l.say("resume-apiserver", "ok resume-apiserver")
	l.say("kill-apiserver", "ok kill-apiserver")
	l.say("restart-apiserver", "ok restart-apiserver")
	l.say("sing", "error sing: no such command")
	if _, err := namespaces.Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}

	l.input.Close()
	if err := l.command.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	l.mustLeaveNothing()
}

func TestKilledControlPlaneLeavesNothing(t *testing.T) {
	l := launch(t, "control-plane")
	if err := l.command.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = l.command.Wait()
	l.mustLeaveNothing()
}
