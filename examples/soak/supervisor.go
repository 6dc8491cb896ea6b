//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// supervisor starts processes, ends them, and sees that what they have
// acknowledged is there.
type supervisor struct {
	*tables
	plan
	exe   string
	began time.Time

	mu         sync.Mutex
	acked      map[string]int64 // by kind and process, as in "push go3"
	operations int64
	goroutines int64 // of the process that is never killed
	failed     chan error

	processes []*process
	kills     int
	restarts  int // of those that were asked to end
	audits    int
	samples   []sample
}

// process is a running worker.
type process struct {
	name   string
	cmd    *exec.Cmd
	in     io.Closer
	errs   bytes.Buffer
	ending bool // it was killed, or asked to end
	done   chan struct{}
}

// supervise does what is planned. The supervisor is nil if there was nothing to
// report yet.
func supervise(ctx context.Context, p plan) (*supervisor, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if p.pythons > 0 && exec.Command(python, "-c", "import diskcache").Run() != nil {
		fmt.Println(python, "does not have DiskCache: there are processes of Go only")
		p.pythons = 0
	}
	t, err := open(ctx, p.dir)
	if err != nil {
		return nil, err
	}
	s := &supervisor{
		tables: t, plan: p, exe: exe, began: time.Now(),
		acked: map[string]int64{}, failed: make(chan error, 1),
	}
	defer s.end()
	for i := range accounts {
		if _, _, err := s.accounts.GetOrSet(ctx, int64(i), balance); err != nil {
			return nil, err
		}
	}
	// A store that is used again has counts already.
	if err := s.settle(ctx, ""); err != nil {
		return nil, err
	}
	if err := s.keepGoing(ctx); err != nil {
		return s, err
	}
	return s, s.finish(ctx)
}

// end kills all that is left.
func (s *supervisor) end() {
	for _, p := range s.processes {
		s.kill(p)
	}
	_ = s.st.Close() // again, where all is well
}

// keepGoing keeps processes going until the time is over and all kills are done.
func (s *supervisor) keepGoing(ctx context.Context) error {
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for i := range s.goes {
		if err := s.start(fmt.Sprint("go", i)); err != nil {
			return err
		}
	}
	for i := range s.pythons {
		if err := s.start(fmt.Sprint("py", i)); err != nil {
			return err
		}
	}
	every := s.lasts / time.Duration(s.plan.kills+1)
	next := time.NewTimer(every)
	defer next.Stop()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.failed:
			return err
		case <-second.C:
			if err := s.look(ctx, n); err != nil {
				return err
			}
			n++
			if time.Since(s.began) >= s.lasts && s.kills >= s.plan.kills {
				return nil
			}
		case <-next.C:
			if s.kills < s.plan.kills {
				if err := s.disturb(ctx, r); err != nil {
					return err
				}
			}
			next.Reset(time.Until(s.began.Add(time.Duration(s.kills+1) * every)))
		}
	}
}

// disturb kills and replaces a process, or asks one to end, or stops one for a while.
func (s *supervisor) disturb(ctx context.Context, r *rand.Rand) error {
	i := 1 + r.IntN(len(s.processes)-1)
	p := s.processes[i]
	switch n := r.IntN(20); {
	case n == 0:
		_ = p.cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
		return nil
	case n < 3:
		if err := s.ask(p); err != nil {
			return err
		}
		s.restarts++
	default:
		s.kill(p)
		s.kills++
		if state := p.cmd.ProcessState; state.Exited() {
			return fmt.Errorf("%s has ended by itself: %v\n%s", p.name, state, &p.errs)
		}
	}
	if err := s.settle(ctx, p.name); err != nil {
		return err
	}
	return s.start(p.name)
}

// start starts a process, in the place of the one that had its name.
func (s *supervisor) start(name string) error {
	p := &process{name: name, done: make(chan struct{})}
	if strings.HasPrefix(name, "py") {
		p.cmd = exec.Command(python, "-c", pythonWorker, filepath.Join(s.dir(), "store"), name)
	} else {
		p.cmd = exec.Command(s.exe, "-worker", name, "-dir", s.dir())
		p.cmd.Env = append(os.Environ(), workerEnv+"=1")
	}
	p.cmd.Stderr = &p.errs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the supervisor
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(p.done)
		s.listen(name, bufio.NewReader(out))
		_ = p.cmd.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if !p.ending {
			s.fail(fmt.Errorf("%s has ended by itself: %v\n%s", name, p.cmd.ProcessState, &p.errs))
		}
	}()
	for i, old := range s.processes {
		if old.name == name {
			s.processes[i] = p
			return nil
		}
	}
	s.processes = append(s.processes, p)
	return nil
}

// workerEnv tells a test that it is to be a worker.
const workerEnv = "DISKCACHE_SOAK_WORKER"

func (s *supervisor) dir() string { return s.plan.dir }

// fail ends the soak with an error, unless there is one already.
func (s *supervisor) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// listen takes in what a process acknowledges, until it ends.
func (s *supervisor) listen(name string, out *bufio.Reader) {
	for {
		line, err := out.ReadString('\n')
		if err != nil {
			return // the last line may be half of one
		}
		key, number, _ := cutLast(strings.TrimSuffix(line, "\n"))
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || !strings.HasSuffix(key, " "+name) {
			s.fail(fmt.Errorf("%s says %q", name, line))
			return
		}
		s.mu.Lock()
		switch {
		case strings.HasPrefix(key, "goroutines "):
			if name == s.resident() {
				s.goroutines = n
			}
		case n <= s.acked[key]:
			s.fail(fmt.Errorf("%s, number %d, comes after number %d", key, n, s.acked[key]))
		default:
			s.acked[key] = n
			s.operations++
		}
		s.mu.Unlock()
	}
}

func cutLast(s string) (before, after string, ok bool) {
	if i := strings.LastIndexByte(s, ' '); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// resident is the name of the process that is never killed.
func (s *supervisor) resident() string { return "go0" }

// kill kills a process, and returns when it is dead and all that it has said was
// heard.
func (s *supervisor) kill(p *process) {
	s.mu.Lock()
	p.ending = true
	s.mu.Unlock()
	_ = p.cmd.Process.Kill()
	<-p.done
}

// ask has a process end by itself, which it must do without an error.
func (s *supervisor) ask(p *process) error {
	s.mu.Lock()
	p.ending = true
	s.mu.Unlock()
	_ = p.in.Close()
	select {
	case <-p.done:
	case <-time.After(2 * time.Minute):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // it says where it is
		<-p.done
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("%s: %v\n%s", p.name, p.cmd.ProcessState, &p.errs)
	}
	return nil
}

func (s *supervisor) acknowledged() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.acked)
}

// settle sees, of a process that is dead, that what is stored is what it has
// acknowledged, or one operation more. With "" it takes what is stored for what
// was acknowledged.
func (s *supervisor) settle(ctx context.Context, name string) error {
	stored, err := s.audit(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	written := int64(0) // the last of the process's own values
	for i := range ownFiles {
		written = max(written, s.acked[fmt.Sprintf("file%d %s", i, name)])
	}
	for key, n := range stored {
		if name != "" && !strings.HasSuffix(key, " "+name) {
			continue
		}
		kind, _, _ := strings.Cut(key, " ")
		switch acked := s.acked[key]; {
		case kind == "done" || kind == "sum": // by whoever did the job
			continue
		case name == "" || n == acked:
		case strings.HasPrefix(kind, "file") && n == written+1:
		case !strings.HasPrefix(kind, "file") && n == acked+1:
		default:
			return fmt.Errorf("%s: number %d is stored, %d was acknowledged", key, n, acked)
		}
		s.acked[key] = n
	}
	return nil
}
