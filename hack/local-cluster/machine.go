package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

var (
	neededPrograms = []string{"containerd", "containerd-shim-runc-v2", "ctr", "runc", "iptables", "conntrack", "mount"}
	neededPlugins  = []string{"ptp", "portmap", "host-local", "loopback"}
	// Where distributions put network plugins.
	pluginDirectories = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}
)

// checkMachine says in one sentence everything that a node needs and this machine lacks.
func checkMachine(directory string) error {
	var lacks []string
	if os.Geteuid() != 0 {
		lacks = append(lacks, "root")
	}
	var programs []string
	for _, name := range neededPrograms {
		if _, err := exec.LookPath(name); err != nil {
			programs = append(programs, name)
		}
	}
	if len(programs) > 0 {
		lacks = append(lacks, "the programs "+strings.Join(programs, ", "))
	}
	if _, err := pluginDirectory(); err != nil {
		lacks = append(lacks, fmt.Sprintf("the network plugins %s in %s",
			strings.Join(neededPlugins, ", "), strings.Join(pluginDirectories, " or ")))
	}
	if controllers := missingControllers(); len(controllers) > 0 {
		lacks = append(lacks, "the cgroup controllers "+strings.Join(controllers, ", "))
	}
	if !knowsFilesystem("overlay") {
		lacks = append(lacks, "a kernel with overlayfs")
	}
	var status unix.Statfs_t
	if unix.Statfs(directory, &status) == nil && status.Type == unix.OVERLAYFS_SUPER_MAGIC {
		lacks = append(lacks, fmt.Sprintf("a disk under %s, which is itself an overlayfs (TMPDIR names another)", directory))
	}
	if len(lacks) > 0 {
		return errors.New("this machine lacks what a node needs: " + strings.Join(lacks, "; "))
	}
	return nil
}

func pluginDirectory() (string, error) {
	for _, directory := range pluginDirectories {
		there := true
		for _, name := range neededPlugins {
			_, err := os.Stat(filepath.Join(directory, name))
			there = there && err == nil
		}
		if there {
			return directory, nil
		}
	}
	return "", errors.New("no directory holds the network plugins")
}

// knowsFilesystem says whether the kernel has a file system now; one that is a module may only be loaded at its first use.
func knowsFilesystem(name string) bool {
	known := func() bool {
		content, err := os.ReadFile("/proc/filesystems")
		return err == nil && strings.Contains(string(content), "\t"+name+"\n")
	}
	if !known() {
		_ = exec.Command("modprobe", name).Run()
	}
	return known()
}
