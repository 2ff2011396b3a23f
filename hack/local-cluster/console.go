package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
)

// readCommands passes on the lines of the input, and calls ended at its end. That is how a test owns a cluster: the
// kernel closes the test's end of the pipe whatever becomes of the test.
func readCommands(ctx context.Context, input io.Reader, commands chan<- string, ended func()) {
	defer ended()
	lines := bufio.NewScanner(input)
	for lines.Scan() {
		command := strings.TrimSpace(lines.Text())
		if command == "" {
			continue
		}
		select {
		case commands <- command:
		case <-ctx.Done():
			return
		}
	}
}

// answer says in one line that a command was carried out, or why not.
func answer(command string, err error) {
	if err != nil {
		text := strings.Join(strings.Fields(err.Error()), " ")
		fmt.Fprintf(os.Stdout, "error %s: %s\n", command, text)
		return
	}
	fmt.Fprintf(os.Stdout, "ok %s\n", command)
}
