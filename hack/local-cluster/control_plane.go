package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// errAskedToEnd is why a control plane ends that did nothing wrong.
var errAskedToEnd = errors.New("asked to end")

type controlPlaneOptions struct {
	kubeconfig     string
	directory      string
	logDirectory   string
	exitWithStdin  bool
	timeout        time.Duration
	apiServerFlags []string
}

func controlPlaneCommand(arguments []string) int {
	var options controlPlaneOptions
	flags := flag.NewFlagSet("control-plane", flag.ContinueOnError)
	flags.StringVar(&options.kubeconfig, "kubeconfig", "",
		"`file` to write the administrator's kubeconfig to when all is ready (needed)")
	flags.StringVar(&options.directory, "dir", "",
		"`directory` for all data, new or empty, removed at the end (default: a new one under TMPDIR)")
	flags.StringVar(&options.logDirectory, "log-dir", "",
		"`directory` to keep the components' logs in (default: inside --dir, gone at the end)")
	flags.BoolVar(&options.exitWithStdin, "exit-with-stdin", false,
		"take commands from the standard input, and end when it closes")
	flags.DurationVar(&options.timeout, "timeout", 2*time.Minute, "how long a start may take")
	flags.Func("apiserver-flag", "`flag` for the API server, before its own; may be given more than once", func(text string) error {
		options.apiServerFlags = append(options.apiServerFlags, text)
		return nil
	})
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if options.kubeconfig == "" || flags.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "control-plane: --kubeconfig is needed, and nothing but flags is taken")
		return 2
	}

	ctx, end := context.WithCancelCause(context.Background())
	stopOnSignals(end)
	commands := make(chan string)
	if options.exitWithStdin {
		go readCommands(ctx, os.Stdin, commands, func() { end(errAskedToEnd) })
	}
	err := runControlPlane(ctx, end, options, commands)
	if err == nil || errors.Is(err, errAskedToEnd) {
		return 0
	}
	fmt.Fprintln(os.Stderr, "control-plane:", err)
	return 1
}

func stopOnSignals(end context.CancelCauseFunc) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	// Whoever reads the answers may be gone; that alone must not end the process before it has cleaned up.
	signal.Ignore(syscall.SIGPIPE)
	go func() {
		<-signals
		end(errAskedToEnd)
	}()
}

// runControlPlane returns when the context ends, or sooner where something fails. Then nothing is left.
func runControlPlane(
	ctx context.Context,
	end context.CancelCauseFunc,
	options controlPlaneOptions,
	commands <-chan string,
) (err error) {
	options.kubeconfig, err = filepath.Abs(options.kubeconfig)
	if err != nil {
		return err
	}
	// Better now than when all has been started.
	if _, err := os.Stat(filepath.Dir(options.kubeconfig)); err != nil {
		return fmt.Errorf("find the kubeconfig's directory: %w", err)
	}
	directory, err := openDirectory(options.directory)
	if err != nil {
		return fmt.Errorf("make the directory for the data: %w", err)
	}
	logs, err := openLogs(options.logDirectory, directory)
	if err != nil {
		return errors.Join(fmt.Errorf("make the directory for the logs: %w", err), directory.remove())
	}
	plane := &controlPlane{options: options, directory: directory, logs: logs, end: end}
	defer func() {
		// While the logs still are there.
		var ended *endedError
		if errors.As(err, &ended) {
			fmt.Fprintf(os.Stderr, "the end of %s's log:\n%s\n", ended.name, lastLines(ended.log))
		}
		err = errors.Join(err, plane.close())
	}()
	if err := plane.start(ctx); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "ready", plane.server.config.Host)
	for {
		select {
		case command := <-commands:
			answer(ctx, plane.server, command)
		case err := <-plane.store.etcd.Err():
			return fmt.Errorf("etcd: %w", err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func openDirectory(chosen string) (*privateDirectory, error) {
	if chosen == "" {
		return newPrivateDirectory()
	}
	return claimDirectory(chosen)
}

func openLogs(chosen string, directory *privateDirectory) (string, error) {
	if chosen == "" {
		return directory.join("logs"), os.Mkdir(directory.join("logs"), 0o700)
	}
	path, err := filepath.Abs(chosen)
	if err != nil {
		return "", err
	}
	return path, os.MkdirAll(path, 0o700)
}

// controlPlane is what runs, in the order in which it was started. Fields are nil until then.
type controlPlane struct {
	options    controlPlaneOptions
	directory  *privateDirectory
	logs       string
	end        context.CancelCauseFunc
	watcher    *watcher
	port       *reservedPort
	store      *datastore
	server     *apiServer
	manager    *process
	kubeconfig []byte
}

// Names inside the private directory.
const (
	adminKubeconfig       = "admin.kubeconfig"
	controllersKubeconfig = "controllers.kubeconfig"
)

func (c *controlPlane) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.timeout)
	defer cancel()

	var err error
	if c.watcher, err = watch(c.directory, adminKubeconfig, c.options.kubeconfig); err != nil {
		return fmt.Errorf("start the watcher: %w", err)
	}
	port, err := reservePort()
	if err != nil {
		return err
	}
	c.port = &port
	credentials, err := writeCredentials(c.directory.join("pki"), time.Now())
	if err != nil {
		return fmt.Errorf("make the credentials: %w", err)
	}
	config, err := c.writeKubeconfigs(fmt.Sprintf("https://127.0.0.1:%d", port.number), credentials)
	if err != nil {
		return fmt.Errorf("make the kubeconfigs: %w", err)
	}
	if c.store, err = startDatastore(ctx, c.directory.path, c.log("etcd")); err != nil {
		return err
	}

	spawner := newSpawner()
	serverArguments := slices.Concat(c.options.apiServerFlags, apiServerArguments(port.number, c.store, credentials))
	c.server = &apiServer{
		spawner: spawner,
		program: c.program("kube-apiserver", serverArguments),
		config:  config,
		timeout: c.options.timeout,
		failed:  c.end,
	}
	// The manager waits by itself until the server is ready: loading it takes as long as that does.
	arguments := controllerArguments(c.directory, credentials)
	if c.manager, err = spawner.run(c.program("controllers", arguments), c.end); err != nil {
		return err
	}
	if err := c.server.start(ctx); err != nil {
		return err
	}
	if err := waitUntilControllersWork(ctx, config); err != nil {
		return err
	}
	if err := writeAtomically(c.options.kubeconfig, c.kubeconfig); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	return nil
}

func controllerArguments(directory *privateDirectory, c *credentials) []string {
	return []string{
		"--kubeconfig=" + directory.join(controllersKubeconfig),
		"--",
		// It is the only one.
		"--leader-elect=false",
		// Nobody asks it anything, so it listens on no port.
		"--secure-port=0",
		"--profiling=false",
		// It makes this directory where it is missing, by default one of the system's.
		"--flex-volume-plugin-dir=" + directory.join("volume-plugins"),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.serviceAccountKey,
		"--root-ca-file=" + c.authorityPath,
		"--cluster-signing-cert-file=" + c.authorityPath,
		"--cluster-signing-key-file=" + c.authorityKey,
		"--controllers=*,-" + strings.Join(replacedControllers, ",-"),
		fmt.Sprintf("--kube-api-qps=%d", clientQueriesPerSecond),
		fmt.Sprintf("--kube-api-burst=%d", clientBurst),
		"--concurrent-deployment-syncs=20",
		"--concurrent-replicaset-syncs=20",
		"--concurrent-statefulset-syncs=20",
		"--concurrent-service-endpoint-syncs=20",
		"--concurrent-serviceaccount-token-syncs=20",
		"--horizontal-pod-autoscaler-sync-period=2s",
	}
}

func (c *controlPlane) program(name string, arguments []string) program {
	return program{name: name, arguments: arguments, directory: c.directory.path, log: c.log(name)}
}

func (c *controlPlane) log(name string) string {
	return filepath.Join(c.logs, name+".log")
}

// writeKubeconfigs keeps a copy of the administrator's for the watcher, and gives the configuration of a client with it.
func (c *controlPlane) writeKubeconfigs(server string, credentials *credentials) (*rest.Config, error) {
	admin, err := kubeconfig(server, credentials.authority, credentials.admin)
	if err != nil {
		return nil, err
	}
	controllers, err := kubeconfig(server, credentials.authority, credentials.controllers)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		os.WriteFile(c.directory.join(adminKubeconfig), admin, 0o600),
		os.WriteFile(c.directory.join(controllersKubeconfig), controllers, 0o600))
	if err != nil {
		return nil, err
	}
	c.kubeconfig = admin
	return clientcmd.RESTConfigFromKubeConfig(admin)
}

// close ends what was started. The data goes away, so nothing is given time to save any.
func (c *controlPlane) close() error {
	var errs []error
	if c.kubeconfig != nil {
		errs = append(errs, removeIfSame(c.options.kubeconfig, c.kubeconfig))
	}
	if c.manager != nil {
		errs = append(errs, c.manager.kill())
	}
	if c.server != nil && c.server.running != nil {
		errs = append(errs, c.server.running.kill())
	}
	if c.store != nil {
		c.store.close()
	}
	if c.port != nil {
		c.port.release()
	}
	errs = append(errs, c.directory.remove())
	if c.watcher != nil {
		c.watcher.dismiss()
	}
	return errors.Join(errs...)
}
