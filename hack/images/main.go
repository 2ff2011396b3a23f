// Command images makes a container image from files of this machine, without a container engine:
//
//	images --name docker.io/library/NAME:TAG... --output FILE.tar BINARY [FILE=/PATH]...
//
// The image has one layer. The first file lies in its root and is the entry point, whose user is not root. What comes out
// is an OCI layout in a tar file, which containerd, kind, podman and Docker load; the same files give the same image.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	var names []string
	flag.Func("name", "a full `name` of the image, with registry and tag; may be given more than once", func(name string) error {
		names = append(names, name)
		return checkName(name)
	})
	output := flag.String("output", "", "the `file` to write")
	user := flag.String("user", nonRoot, "the `user` that the entry point runs as")
	flag.Parse()
	if err := run(names, *output, *user, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(names []string, output, user string, arguments []string) error {
	if len(names) == 0 || output == "" || len(arguments) == 0 {
		return errors.New("--name, --output and a binary are needed")
	}
	files := make([]file, 0, len(arguments))
	for _, argument := range arguments {
		from, to, found := strings.Cut(argument, "=")
		if !found {
			to = "/" + filepath.Base(from)
		}
		if !filepath.IsAbs(to) || filepath.Clean(to) != to {
			return fmt.Errorf("%s: %s is not a clean absolute path", argument, to)
		}
		files = append(files, file{from: from, to: to})
	}
	image := image{names: names, user: user, entrypoint: files[0].to, files: files}
	return image.write(output)
}

// checkName wants the full one: that is what Kubernetes asks for, and containerd keeps a name as it is given.
func checkName(name string) error {
	registry, rest, found := strings.Cut(name, "/")
	if !found || !strings.ContainsAny(registry, ".:") || !strings.Contains(rest, ":") {
		return fmt.Errorf("not a full name, such as docker.io/library/%s:latest", filepath.Base(name))
	}
	return nil
}
