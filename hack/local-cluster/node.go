package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

const (
	nodeName = "node-1"
	// The containers' runtime answers here, in the private directory: image loading is done from outside the node.
	runtimeSocket = "cri.sock"
)

// The node's first process starts one other and collects the processes that nobody else does: what containers leave
// becomes its child. Where it ends, the kernel kills every process in the node.
const firstProcessScript = `exec 3<&0
"$@" <&3 3<&- &
wait "$!"`

// node is a machine inside this one: a tree of processes with their own process ids, mounts, network, host name and
// shared memory. No namespace is known by a name or kept by a file, so all of it ends with the first process, however
// that ends; and that one ends with the launcher. Only the cgroup and the directory are left then.
type node struct {
	first  *process
	cgroup string
	link   *link

	// One command at a time.
	turn    sync.Mutex
	input   *os.File
	answers <-chan string
}

// startNode returns when the node's processes run; they wait for commands.
func startNode(c *cluster) (*node, error) {
	n := &node{cgroup: cgroupName(c.directory.path)}
	if err := makeCgroup(n.cgroup); err != nil {
		return nil, errors.Join(fmt.Errorf("make its cgroup: %w", err), removeCgroup(n.cgroup))
	}
	commandsOut, commandsIn, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	defer commandsOut.Close()
	n.input = commandsIn
	answersOut, answersIn, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	defer answersIn.Close()

	program := c.program("node", []string{
		"-c", firstProcessScript, "local-cluster-node",
		// Its own /proc/self is another's by then.
		fmt.Sprintf("/proc/%d/exe", os.Getpid()), "node", c.directory.path, c.logs,
	})
	program.path = "/bin/sh"
	program.namespaces = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC
	program.input, program.output = commandsOut, answersIn
	if n.first, err = c.spawner.run(program, c.end); err != nil {
		return nil, errors.Join(err, answersOut.Close(), n.close())
	}
	answers := make(chan string)
	n.answers = answers
	go func() {
		defer answersOut.Close()
		defer close(answers)
		lines := bufio.NewScanner(answersOut)
		for lines.Scan() {
			answers <- lines.Text()
		}
	}()
	return n, nil
}

// tell has a command carried out in the node.
func (n *node) tell(ctx context.Context, command string) error {
	n.turn.Lock()
	defer n.turn.Unlock()
	if _, err := fmt.Fprintln(n.input, command); err != nil {
		return fmt.Errorf("ask the node to %s: %w", command, err)
	}
	select {
	case answer, ok := <-n.answers:
		if !ok {
			return fmt.Errorf("ask the node to %s: it has ended", command)
		}
		if text, failed := strings.CutPrefix(answer, "error "+command+": "); failed {
			return errors.New(text)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close ends everything in the node, and returns when it has ended.
func (n *node) close() error {
	var errs []error
	if n.first != nil {
		errs = append(errs, n.first.kill())
	}
	if n.input != nil {
		errs = append(errs, n.input.Close())
	}
	if n.link != nil {
		// The kernel does it too, some time after the last process has ended.
		errs = append(errs, n.link.remove())
	}
	return errors.Join(append(errs, removeCgroup(n.cgroup))...)
}

// bootNode makes the machine, and starts in it what runs containers.
func (c *cluster) bootNode(ctx context.Context) error {
	if err := checkMachine(c.directory.path); err != nil {
		return err
	}
	var err error
	if c.node, err = startNode(c); err != nil {
		return err
	}
	if c.node.link, err = connect(c.node.first.command.Process.Pid); err != nil {
		return err
	}
	if err := c.node.link.note(c.directory.path); err != nil {
		return err
	}
	c.network = c.node.link.network
	return c.node.tell(ctx, fmt.Sprintf("%s %d", joinCommand, c.node.link.number))
}

// joinNode makes the machine a node of the cluster, and returns when pods run, and services and names are found.
func (c *cluster) joinNode(ctx context.Context) error {
	scheduler := c.program("kube-scheduler", []string{
		"--kubeconfig=" + c.directory.join(schedulerKubeconfig),
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
	})
	process, err := c.spawner.run(scheduler, c.end)
	if err != nil {
		return err
	}
	c.scheduler = process
	for _, step := range []string{"start-kubelet", "start-kube-proxy"} {
		if err := c.node.tell(ctx, step); err != nil {
			return err
		}
	}
	if err := waitUntilNodeReady(ctx, c.config, c.directory.join(runtimeSocket)); err != nil {
		return err
	}
	if err := c.loadOwnImages(ctx); err != nil {
		return err
	}
	if err := c.applyAddons(ctx); err != nil {
		return err
	}
	return errorOf(
		waitUntilServicesAnswer(ctx, c.config, c.network),
		waitUntilNamesResolve(ctx, c.network))
}

// ownImages gives the files of the images that the cluster itself needs.
func (c *cluster) ownImages() ([]string, error) {
	directory := c.options.images
	if directory == "" {
		executable, err := os.Executable()
		if err != nil {
			return nil, err
		}
		directory = filepath.Join(filepath.Dir(executable), "images")
	}
	files, err := filepath.Glob(filepath.Join(directory, "*.tar"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no images in %s", directory)
	}
	return files, err
}
