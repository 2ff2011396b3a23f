package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// How long a component may take to end well before it is made to.
	terminationGrace = 5 * time.Second
	// How much of a log is shown when a component ends by itself.
	shownLogLines = 40
	shownLogBytes = 64 << 10
)

// spawner starts processes that the kernel kills when this one ends, however it ends.
//
// The kernel ties such a child to the thread that started it, not to the process, and Go ends threads as it likes. So one
// thread, locked to a goroutine that never returns, starts them all.
type spawner struct {
	requests chan spawnRequest
}

type spawnRequest struct {
	command *exec.Cmd
	started chan<- error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawnRequest)}
	go func() {
		runtime.LockOSThread()
		for request := range s.requests {
			request.started <- request.command.Start()
		}
	}()
	return s
}

func (s *spawner) start(command *exec.Cmd) error {
	started := make(chan error)
	s.requests <- spawnRequest{command, started}
	return <-started
}

// program is a component as it is started, any number of times.
type program struct {
	name string
	// What to run; a command of this binary where it is empty.
	path      string
	arguments []string
	directory string
	log       string
	// The namespaces that it gets for its own.
	namespaces uintptr
	// Where it reads commands and writes answers, where it does.
	input, output *os.File
}

// process is one run of a program.
type process struct {
	program program
	command *exec.Cmd
	ended   chan struct{}
	// Whether this process was asked to end; one that was not has failed.
	asked atomic.Bool
}

// run starts the program, and calls failed where it ends without having been asked to.
func (s *spawner) run(p program, failed func(error)) (*process, error) {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()

	command := exec.Command(p.path, p.arguments...)
	if p.path == "" {
		// Not by its path: the file may have been replaced or removed since.
		command = exec.Command("/proc/self/exe", append([]string{p.name}, p.arguments...)...)
		command.Args[0] = "local-cluster"
	}
	command.Dir = p.directory
	command.Env = componentEnvironment(p.directory)
	command.Stdout, command.Stderr = log, log
	if p.input != nil {
		command.Stdin, command.Stdout = p.input, p.output
	}
	command.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		// Ctrl-C at a terminal reaches the launcher alone, which then ends the rest in order.
		Setpgid:    true,
		Cloneflags: p.namespaces,
	}
	run := &process{program: p, command: command, ended: make(chan struct{})}
	if err := s.start(command); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() {
		result := command.Wait()
		close(run.ended)
		if !run.asked.Load() {
			failed(&endedError{name: p.name, result: result, log: p.log})
		}
	}()
	return run, nil
}

// componentEnvironment leaves out what would change how a component behaves on one machine and not on another: proxies,
// and the address of a cluster that this runs in.
func componentEnvironment(directory string) []string {
	environment := []string{"HOME=" + directory, "TMPDIR=" + directory, "PATH=" + os.Getenv("PATH")}
	for _, name := range []string{"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK"} {
		if value, ok := os.LookupEnv(name); ok {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// kill ends the process at once, and returns when it has ended.
func (p *process) kill() error {
	p.asked.Store(true)
	err := p.signal(syscall.SIGKILL)
	if err == nil {
		<-p.ended
	}
	return err
}

// terminate lets the process end well, and kills it where that takes too long.
func (p *process) terminate() error {
	p.asked.Store(true)
	// A paused process would not see the first signal.
	if err := errors.Join(p.signal(syscall.SIGTERM), p.signal(syscall.SIGCONT)); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(terminationGrace):
		return p.kill()
	}
}

// signal sends nothing where the process has ended: os.Process knows that its id may be another's by now.
func (p *process) signal(signal syscall.Signal) error {
	err := p.command.Process.Signal(signal)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// endedError says that a component ended by itself.
type endedError struct {
	name   string
	result error
	log    string
}

func (e *endedError) Error() string {
	if e.result == nil {
		return e.name + " ended by itself"
	}
	return fmt.Sprintf("%s ended by itself: %v", e.name, e.result)
}

// lastLines gives the end of a log.
func lastLines(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	if information, err := file.Stat(); err == nil && information.Size() > shownLogBytes {
		_, _ = file.Seek(-shownLogBytes, io.SeekEnd)
	}
	content, _ := io.ReadAll(io.LimitReader(file, shownLogBytes))
	lines := strings.Split(string(bytes.TrimSpace(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-shownLogLines):], "\n")
}
