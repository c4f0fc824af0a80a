package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// processes are the components of one cluster, in the order of their start.
type processes struct {
	dir     string
	running []*process
	// ended receives the name of a component that ended by itself.
	ended chan string
}

// maxComponents is at least the number of components of a cluster, so that a
// component that ends never waits for somebody to hear of it.
const maxComponents = 8

type process struct {
	name    string
	command *exec.Cmd
	done    chan struct{}
	// stopped is set before the launcher ends the process itself, so that its
	// end is no failure.
	stopped atomic.Bool
}

func newProcesses(dir string) *processes {
	return &processes{dir: dir, ended: make(chan string, maxComponents)}
}

// start runs this binary as the component `name`, with its output added to
// NAME.log. The kernel kills it when the calling thread ends.
func (p *processes) start(name string, arguments ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	log, err := os.OpenFile(filepath.Join(p.dir, name+".log"), flags, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(self, append([]string{name}, arguments...)...)
	command.Stdout, command.Stderr = log, log
	// A session of its own: an interrupt typed at a terminal reaches only the
	// launcher, which then takes the components down in order.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	child := &process{name: name, command: command, done: make(chan struct{})}
	p.running = append(p.running, child)
	go func() {
		_ = command.Wait()
		close(child.done)
		if !child.stopped.Load() {
			p.ended <- name
		}
	}()
	return nil
}

// stop ends the component `name` as a crash would, and returns when it is gone.
func (p *processes) stop(name string) {
	var rest []*process
	for _, child := range p.running {
		if child.name != name {
			rest = append(rest, child)
			continue
		}
		child.stopped.Store(true)
		_ = child.command.Process.Kill()
		<-child.done
	}
	p.running = rest
}

// kill ends all components at once, clients first. Nothing is worth a graceful
// stop: all state is thrown away.
func (p *processes) kill() {
	for i := len(p.running) - 1; i >= 0; i-- {
		_ = p.running[i].command.Process.Kill()
	}
	for _, child := range p.running {
		<-child.done
	}
}

// dataPrefix starts the name of every etcd folder in shared memory.
const dataPrefix = "sluice-testcluster-"

// dataFolder is etcd's folder, locked for as long as its owner lives.
type dataFolder struct {
	path string
	lock *os.File
}

// newDataFolder prefers memory to disk, and first frees the memory of earlier
// clusters whose launcher was killed before it could do so.
func newDataFolder(dir string) (*dataFolder, error) {
	const memory = "/dev/shm"
	sweep(memory)
	path, err := os.MkdirTemp(memory, dataPrefix)
	if err != nil {
		path = filepath.Join(dir, "etcd")
		if err := os.RemoveAll(path); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, err
		}
	}
	lock, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &dataFolder{path, lock}, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
}

func (d *dataFolder) remove() {
	_ = os.RemoveAll(d.path)
	_ = d.lock.Close()
}

func sweep(memory string) {
	entries, err := os.ReadDir(memory)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), dataPrefix) {
			removeUnlessLocked(filepath.Join(memory, entry.Name()))
		}
	}
}

// removeUnlessLocked leaves a folder that was made a moment ago alone, because
// its owner may not have locked it yet.
func removeUnlessLocked(path string) {
	folder, err := os.Open(path)
	if err != nil {
		return
	}
	defer folder.Close()
	info, err := folder.Stat()
	if err != nil || time.Since(info.ModTime()) < time.Minute {
		return
	}
	if syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		_ = os.RemoveAll(path)
	}
}
