package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// The kernel's settings as the kubelet wants them. They are the whole machine's and would stay as it leaves them, and it
// does not run where it cannot change them.
var wantedSettings = map[string]string{
	"kernel/keys/root_maxbytes": "25000000",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
}

// shieldSettings lets processes in the node read these settings as wanted, whatever they are.
func shieldSettings() error {
	directory := filepath.Join(privateInside, "settings")
	if err := os.Mkdir(directory, 0o755); err != nil {
		return err
	}
	for name, value := range wantedSettings {
		setting := "/proc/sys/" + name
		if _, err := os.Stat(setting); err != nil {
			continue
		}
		shield := filepath.Join(directory, filepath.Base(name))
		err := errorOf(
			os.WriteFile(shield, []byte(value+"\n"), 0o444),
			unix.Mount(shield, setting, "", unix.MS_BIND, ""))
		if err != nil {
			return fmt.Errorf("shield %s: %w", setting, err)
		}
	}
	return nil
}

const (
	// How many of its processors the node promises to pods for each that there is. What pods request is far from what they
	// use, and most machines that this runs on are small.
	promisedProcessors = 8

	processorsPath = "/sys/devices/system/cpu"
	// Where it is empty, processors are counted in the other.
	topologyPath = "/sys/devices/system/node"
)

// multiplyProcessors lets the kubelet, which counts the machine's processors and cannot be told a number, count more. It
// counts the directories. How many threads Go's programs and containers run goes by what the kernel schedules them on, so
// nothing else changes.
func multiplyProcessors() error {
	if _, err := os.Stat(topologyPath); err == nil {
		if err := unix.Mount("none", topologyPath, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_RDONLY, "mode=0555"); err != nil {
			return fmt.Errorf("shield %s: %w", topologyPath, err)
		}
	}
	if err := unix.Mount("none", processorsPath, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("shield %s: %w", processorsPath, err)
	}
	for number := range promisedProcessors * runtime.NumCPU() {
		if err := os.Mkdir(filepath.Join(processorsPath, fmt.Sprintf("cpu%d", number)), 0o555); err != nil {
			return err
		}
	}
	return nil
}
