package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Where things are for processes in the node.
const (
	// The cluster's private directory.
	privateInside = "/run/local-cluster"
	logsInside    = "/run/local-cluster-logs"
	// The node's own /var, in the private directory.
	varDirectory = "var"
	// The rest is in the private directory.
	networkDirectory = "cni"
	resolverFile     = "resolv.conf"
	// How long a component in the node may take to start.
	insideTimeout = time.Minute
	// The first command: with the number of the node's network, it makes the node ready for the others.
	joinCommand = "join"
)

// nodeCommand runs in the node's namespaces, and takes commands until its input closes.
func nodeCommand(arguments []string) int {
	if len(arguments) != 2 || os.Getppid() != 1 {
		fmt.Fprintln(os.Stderr, "node: only a cluster starts it")
		return 2
	}
	ctx, end := context.WithCancelCause(context.Background())
	stopOnSignals(end)
	// The shell that started this ignores them for it; what it starts must not.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGQUIT)
	err := separate(arguments[0], arguments[1])
	if err == nil {
		commands := make(chan string)
		go readCommands(ctx, os.Stdin, commands, func() { end(errAskedToEnd) })
		err = serveNode(ctx, end, arguments[0], commands)
	}
	showEndOfLog(err)
	return exitCode("node", err)
}

func serveNode(ctx context.Context, end context.CancelCauseFunc, directory string, commands <-chan string) error {
	var components map[string]*component
	for {
		select {
		case command := <-commands:
			number, joins := strings.CutPrefix(command, joinCommand+" ")
			if !joins {
				answer(command, carryOut(ctx, components, command))
				continue
			}
			var err error
			components, err = join(number, cgroupName(directory), end)
			if err == nil {
				err = components["containerd"].start(ctx)
			}
			answer(command, err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// separate gives the node its own /proc, /run and /var. All else is this machine's; nothing in the node writes there.
func separate(directory, logs string) error {
	// What is mounted from here on stays in the node.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := makeVar(filepath.Join(directory, varDirectory)); err != nil {
		return err
	}
	// Held open, since they may lie where something is mounted over them.
	var held []string
	for _, path := range []string{directory, logs, filepath.Join(directory, varDirectory)} {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: path, Err: err}
		}
		defer unix.Close(fd)
		held = append(held, fmt.Sprintf("/proc/self/fd/%d", fd))
	}
	const harmless = unix.MS_NOSUID | unix.MS_NODEV
	steps := []func() error{
		func() error { return unix.Mount("proc", "/proc", "proc", harmless|unix.MS_NOEXEC, "") },
		func() error { return unix.Mount("run", "/run", "tmpfs", harmless, "mode=0755") },
		func() error { return errorOf(os.Mkdir(privateInside, 0o700), os.Mkdir(logsInside, 0o700)) },
		func() error { return unix.Mount(held[0], privateInside, "", unix.MS_BIND, "") },
		func() error { return unix.Mount(held[1], logsInside, "", unix.MS_BIND, "") },
		func() error { return unix.Mount(held[2], "/var", "", unix.MS_BIND, "") },
		shieldSettings,
		multiplyProcessors,
		func() error { return unix.Sethostname([]byte(nodeName)) },
	}
	for number, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d of separating the node: %w", number+1, err)
		}
	}
	return nil
}

func makeVar(path string) error {
	for _, name := range []string{"cache", "lib", "log", "tmp"} {
		if err := os.MkdirAll(filepath.Join(path, name), 0o755); err != nil {
			return err
		}
	}
	return os.Symlink("/run", filepath.Join(path, "run"))
}

// join sets the network up, and writes what the components read.
func join(number, cgroup string, failed func(error)) (map[string]*component, error) {
	parsed, err := strconv.Atoi(number)
	if err != nil {
		return nil, err
	}
	l := link{network: nodeNetwork(parsed)}
	if err := l.enter(); err != nil {
		return nil, err
	}
	plugins, err := pluginDirectory()
	if err != nil {
		return nil, err
	}
	settings := settingsOf(l.network)
	settings.PluginDirectory, settings.Cgroup = plugins, cgroup
	private := func(name string) string { return filepath.Join(privateInside, name) }
	err = errorOf(
		os.Mkdir(private(networkDirectory), 0o700),
		writeFile("pods.conflist", settings, private(networkDirectory+"/pods.conflist")),
		writeFile("containerd.toml", settings, private("containerd.toml")),
		writeFile("kubelet.yaml", settings, private("kubelet.yaml")),
		// Pods that want the node's resolver get one that knows nobody: nothing of the outside can be reached.
		os.WriteFile(private(resolverFile), []byte("nameserver 127.0.0.1\n"), 0o644),
		// Where programs look for it by default, such as the kubelet's own measuring.
		os.Mkdir("/run/containerd", 0o711),
		os.Symlink(private(runtimeSocket), "/run/containerd/containerd.sock"))
	if err != nil {
		return nil, err
	}
	return nodeComponents(l.network, failed)
}

func nodeComponents(n *network, failed func(error)) (map[string]*component, error) {
	private := func(name string) string { return filepath.Join(privateInside, name) }
	containerd, err := exec.LookPath("containerd")
	if err != nil {
		return nil, err
	}
	spawner := newSpawner()
	make := func(name, path string, ready func(context.Context) error, arguments ...string) *component {
		return &component{
			title:   name,
			spawner: spawner,
			timeout: insideTimeout,
			ready:   func(ctx context.Context) error { return waitFor(ctx, name+" answers", ready) },
			failed:  failed,
			program: program{
				name: name, path: path, arguments: arguments,
				directory: privateInside, log: filepath.Join(logsInside, name+".log"),
			},
		}
	}
	return map[string]*component{
		"containerd": make("containerd", containerd,
			func(ctx context.Context) error { return dial(ctx, private(runtimeSocket)) },
			"--config="+private("containerd.toml")),
		"kubelet": make("kubelet", "",
			func(ctx context.Context) error { return get(ctx, "http://127.0.0.1:10248/healthz") },
			"--config="+private("kubelet.yaml"),
			"--kubeconfig="+private(kubeletKubeconfig),
			"--hostname-override="+nodeName,
			"--node-ip="+n.node.String()),
		"kube-proxy": make("kube-proxy", "",
			func(ctx context.Context) error { return get(ctx, "http://127.0.0.1:10256/livez") },
			"--kubeconfig="+private(proxyKubeconfig),
			"--hostname-override="+nodeName,
			"--proxy-mode=iptables",
			"--cluster-cidr="+n.pods.String(),
			"--healthz-bind-address=127.0.0.1:10256",
			// The tracking of connections is the whole machine's.
			"--conntrack-max-per-core=0",
			"--conntrack-tcp-timeout-established=0s",
			"--conntrack-tcp-timeout-close-wait=0s"),
	}, nil
}

func dial(ctx context.Context, socket string) error {
	connection, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	return connection.Close()
}

func get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}
