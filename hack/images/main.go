// Command images makes a container image from files of this machine, without a container engine:
//
//	images --name docker.io/library/NAME:TAG --output FILE.tar BINARY [FILE=/PATH]...
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
	name := flag.String("name", "", "the image's full `name`, with registry and tag")
	output := flag.String("output", "", "the `file` to write")
	user := flag.String("user", nonRoot, "the `user` that the entry point runs as")
	flag.Parse()
	if err := run(*name, *output, *user, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(name, output, user string, arguments []string) error {
	if name == "" || output == "" || len(arguments) == 0 {
		return errors.New("--name, --output and a binary are needed")
	}
	// containerd keeps a name as it is, and Kubernetes asks for the full one.
	if registry, rest, found := strings.Cut(name, "/"); !found || !strings.ContainsAny(registry, ".:") || !strings.Contains(rest, ":") {
		return fmt.Errorf("%s is not a full name, such as docker.io/library/%s:latest", name, filepath.Base(name))
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
	image := image{name: name, user: user, entrypoint: files[0].to, files: files}
	return image.write(output)
}
