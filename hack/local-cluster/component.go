package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// component is a part of the cluster that ends and starts again, with the same arguments over the same data.
type component struct {
	// As errors call it.
	title   string
	spawner *spawner
	program program
	timeout time.Duration
	// Returns when the component does its work.
	ready   func(context.Context) error
	failed  func(error)
	running *process
}

// start returns when the component is ready.
func (c *component) start(ctx context.Context) error {
	if c.running != nil && !c.running.hasEnded() {
		return fmt.Errorf("%s runs already", c.title)
	}
	running, err := c.spawner.run(c.program, c.failed)
	if err != nil {
		return err
	}
	c.running = running
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.ready(ctx)
}

type notRunningError struct{ title string }

func (e *notRunningError) Error() string {
	return e.title + " does not run"
}

func (c *component) withRunning(act func(*process) error) error {
	if c.running == nil || c.running.hasEnded() {
		return &notRunningError{c.title}
	}
	return act(c.running)
}

func (c *component) restart(ctx context.Context) error {
	var absent *notRunningError
	if err := c.withRunning((*process).terminate); err != nil && !errors.As(err, &absent) {
		return err
	}
	return c.start(ctx)
}

// close ends the component where it runs. It is given no time to save anything.
func (c *component) close() error {
	if c == nil || c.running == nil {
		return nil
	}
	return c.running.kill()
}

var errNoCommand = errors.New("no such command")

// carryOut does what a command says, VERB-NAME, to the component of that name.
func carryOut(ctx context.Context, components map[string]*component, command string) error {
	verb, name, _ := strings.Cut(command, "-")
	c, found := components[name]
	if !found {
		return errNoCommand
	}
	switch verb {
	case "start":
		return c.start(ctx)
	case "stop":
		return c.withRunning((*process).terminate)
	case "restart":
		return c.restart(ctx)
	case "kill":
		return c.withRunning((*process).kill)
	case "pause":
		return c.withRunning(func(p *process) error { return p.signal(syscall.SIGSTOP) })
	case "resume":
		return c.withRunning(func(p *process) error { return p.signal(syscall.SIGCONT) })
	}
	return errNoCommand
}
