package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// errAskedToEnd is why a cluster ends that did nothing wrong.
var errAskedToEnd = errors.New("asked to end")

type options struct {
	// Whether there is a node, or a control plane alone.
	withNode       bool
	kubeconfig     string
	directory      string
	logDirectory   string
	images         string
	exitWithStdin  bool
	timeout        time.Duration
	apiServerFlags []string
}

// launchCommand starts what the command's name says, and ends it when it is told to.
func launchCommand(name string, arguments []string) int {
	options := options{withNode: name == "cluster"}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
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
	if options.withNode {
		flags.StringVar(&options.images, "images", "",
			"`directory` of the images that the cluster itself needs (default: images, beside this program)")
	}
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if options.kubeconfig == "" || flags.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "%s: --kubeconfig is needed, and nothing but flags is taken\n", name)
		return 2
	}

	ctx, end := context.WithCancelCause(context.Background())
	stopOnSignals(end)
	commands := make(chan string)
	if options.exitWithStdin {
		go readCommands(ctx, os.Stdin, commands, func() { end(errAskedToEnd) })
	}
	return exitCode(name, run(ctx, end, options, commands))
}

// exitCode says what went wrong, and gives the code to end with.
func exitCode(name string, err error) int {
	if err == nil || errors.Is(err, errAskedToEnd) {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
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

// run returns when the context ends, or sooner where something fails. Then nothing is left.
func run(
	ctx context.Context,
	end context.CancelCauseFunc,
	options options,
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
	c := &cluster{options: options, directory: directory, logs: logs, spawner: newSpawner(), end: end}
	defer func() {
		// While the logs still are there.
		showEndOfLog(err)
		err = errors.Join(err, c.close())
	}()
	if err := c.start(ctx); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "ready", c.config.Host)
	for {
		select {
		case command := <-commands:
			answer(command, c.carryOut(ctx, command))
		case err := <-c.store.etcd.Err():
			return fmt.Errorf("etcd: %w", err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func showEndOfLog(err error) {
	var ended *endedError
	if errors.As(err, &ended) {
		fmt.Fprintf(os.Stderr, "the end of %s's log:\n%s\n", ended.name, lastLines(ended.log))
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
