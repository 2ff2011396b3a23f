package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	directoryPrefix = "local-cluster-"
	// A directory has this name until it is locked.
	unlockedPrefix = ".local-cluster-"
	// How long making and locking a directory can take at the very most.
	unlockedAge = time.Minute
	// A file of this name says of a directory that the user named that what is in it may be removed.
	directoryMark = ".local-cluster"
)

var errInUse = errors.New("another control plane uses it")

// privateDirectory holds everything that a cluster writes, and goes when it ends.
//
// Its owner keeps it locked. The kernel drops the lock with the owner, so a directory that can be locked has none: that
// holds where process ids are used again, and between containers that share a directory for temporary files.
type privateDirectory struct {
	path string
	lock *os.File
}

// newPrivateDirectory makes a directory for temporary files, and first removes those that dead clusters left there.
func newPrivateDirectory() (*privateDirectory, error) {
	parent := os.TempDir()
	sweep(parent)
	hidden, err := os.MkdirTemp(parent, unlockedPrefix)
	if err != nil {
		return nil, err
	}
	lock, err := lockDirectory(hidden)
	if err != nil {
		_ = os.Remove(hidden)
		return nil, err
	}
	// It takes the name that sweep looks for only now that it is locked.
	path := filepath.Join(parent, directoryPrefix+filepath.Base(hidden)[len(unlockedPrefix):])
	if err := os.Rename(hidden, path); err != nil {
		_ = os.Remove(hidden)
		return nil, errors.Join(err, lock.Close())
	}
	return &privateDirectory{path, lock}, nil
}

// claimDirectory takes a directory that the user named: a new one, an empty one, or one that a dead cluster left.
func claimDirectory(path string) (*privateDirectory, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	lock, err := lockDirectory(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	fail := func(err error) (*privateDirectory, error) {
		return nil, errors.Join(err, lock.Close())
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fail(err)
	}
	mark := filepath.Join(path, directoryMark)
	if _, err := os.Lstat(mark); len(entries) > 0 && err != nil {
		return fail(fmt.Errorf("%s is not empty, and no control plane made it", path))
	}
	if err := errorOf(removeNotedLink(path), removeCgroup(cgroupName(path))); err != nil {
		return fail(err)
	}
	for _, entry := range entries {
		if entry.Name() == directoryMark {
			continue
		}
		if err := os.RemoveAll(filepath.Join(path, entry.Name())); err != nil {
			return fail(err)
		}
	}
	if err := errors.Join(os.Chmod(path, 0o700), os.WriteFile(mark, nil, 0o600)); err != nil {
		return fail(err)
	}
	return &privateDirectory{path, lock}, nil
}

func lockDirectory(path string) (*os.File, error) {
	directory, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(directory.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errInUse
	}
	if err != nil {
		_ = directory.Close()
		return nil, err
	}
	return directory, nil
}

// sweep removes this user's directories that no living cluster owns. What it cannot remove is no reason not to start.
func sweep(parent string) {
	for _, prefix := range []string{directoryPrefix, unlockedPrefix} {
		paths, _ := filepath.Glob(filepath.Join(parent, prefix+"*"))
		for _, path := range paths {
			information, err := os.Lstat(path)
			if err != nil || !information.IsDir() || !isOurs(information) {
				continue
			}
			if prefix == unlockedPrefix && time.Since(information.ModTime()) < unlockedAge {
				continue
			}
			if lock, err := lockDirectory(path); err == nil {
				_ = removeNotedLink(path)
				_ = removeCgroup(cgroupName(path))
				_ = os.RemoveAll(path)
				_ = lock.Close()
			}
		}
	}
}

func isOurs(information fs.FileInfo) bool {
	status, ok := information.Sys().(*syscall.Stat_t)
	return ok && int(status.Uid) == os.Geteuid()
}

func (d *privateDirectory) join(name string) string {
	return filepath.Join(d.path, name)
}

// remove deletes the directory, and again where a component's last write came in between.
func (d *privateDirectory) remove() error {
	var err error
	for range 10 {
		if err = os.RemoveAll(d.path); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.Join(err, d.lock.Close())
}

// unlinkCommand removes the link of the dead cluster with that directory.
func unlinkCommand(arguments []string) int {
	if len(arguments) != 1 {
		fmt.Fprintln(os.Stderr, "unlink: only a cluster's watcher calls it")
		return 2
	}
	return exitCode("unlink", removeNotedLink(arguments[0]))
}

// sweepCommand removes what dead clusters left whose watchers died with them.
func sweepCommand() int {
	sweep(os.TempDir())
	return 0
}

// The watcher waits until nothing holds the other end of its input open any more. Then it removes the link, the cgroup and
// the directory, and the kubeconfig where that is still this cluster's. The components die with the launcher, and what runs in
// containers a moment later, so few tries are enough.
const watcherScript = `trap '' HUP INT TERM
while read -r line; do :; done
cmp -s "$1/$2" "$3" && rm -f "$3"
"$5" unlink "$1"
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	left=
	for cgroup in /sys/fs/cgroup/"$4" /sys/fs/cgroup/*/"$4"; do
		[ -d "$cgroup" ] && ! find "$cgroup" -depth -type d -exec rmdir {} + && left=yes
	done
	rm -rf "$1" && [ -z "$left" ] && exit
	sleep 0.2
done`

// watcher is a shell that cleans up after a launcher that could not do so itself. It outlives the launcher on purpose, by
// the moment that it needs.
type watcher struct {
	command *exec.Cmd
	held    io.Closer
}

func watch(directory *privateDirectory, copyName, kubeconfig string) (*watcher, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command("/bin/sh", "-c", watcherScript, "local-cluster-watcher",
		directory.path, copyName, kubeconfig, cgroupName(directory.path), executable)
	command.Dir = "/"
	// Out of reach of what ends the launcher's whole process group.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	held, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	return &watcher{command, held}, nil
}

// dismiss ends the watcher when there is nothing left for it to do.
func (w *watcher) dismiss() {
	_ = w.command.Process.Kill()
	_ = w.command.Wait()
	_ = w.held.Close()
}
