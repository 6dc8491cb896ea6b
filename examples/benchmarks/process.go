package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// patience returns how long a job may take: what its phases last, and time to
// load the slowest engine with its keys.
func patience(j *job) time.Duration {
	return time.Minute + 20*j.duration() + time.Duration(j.Keys)*100*time.Microsecond
}

// process is a child that carries out a job.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errors *strings.Builder
	ctx    context.Context
	cancel context.CancelFunc
}

// install copies this program to a directory and returns where it is then. On
// Linux a program that runs from the file as the linker wrote it was measured to
// be a fifth slower where it runs much code, and to take more memory, than from
// a copy; and what is installed somewhere is a copy.
func install(dir string) (string, error) {
	from, err := os.Executable()
	if err != nil {
		return "", err
	}
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	path := filepath.Join(dir, filepath.Base(from))
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return "", err
	}
	// Hidden types: the kernel's own copy may share the file's blocks.
	_, err = io.Copy(struct{ io.Writer }{out}, struct{ io.Reader }{in})
	return path, errors.Join(err, out.Close())
}

// startProcess starts a child for a job of an engine.
func startProcess(ctx context.Context, e *engine, j *job) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, patience(j))
	p := &process{errors: &strings.Builder{}, ctx: ctx, cancel: cancel}
	if e.command != nil {
		p.cmd = e.command(ctx, j)
	} else {
		text, err := json.Marshal(j)
		if err != nil {
			cancel()
			return nil, err
		}
		p.cmd = exec.CommandContext(ctx, j.program)
		p.cmd.Env = append(os.Environ(), jobEnv+"="+string(text))
	}
	p.cmd.Stderr = p.errors
	var err error
	if p.in, err = p.cmd.StdinPipe(); err == nil {
		var out io.Reader
		if out, err = p.cmd.StdoutPipe(); err == nil {
			p.out = bufio.NewReader(out)
			err = p.cmd.Start()
		}
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return p, nil
}

// ready waits until the child has prepared its job.
func (p *process) ready() error {
	line, err := p.out.ReadString('\n')
	if err != nil || line != "ready\n" {
		return p.fail(fmt.Errorf("not ready: %q, %v", line, err))
	}
	return nil
}

// begin makes the child begin.
func (p *process) begin() error {
	_, err := io.WriteString(p.in, "go\n")
	return err
}

// outcome waits until the child is done.
func (p *process) outcome() (*outcome, error) {
	defer p.cancel()
	var o outcome
	if err := json.NewDecoder(p.out).Decode(&o); err != nil {
		return nil, p.fail(err)
	}
	io.Copy(io.Discard, p.out)
	if err := p.cmd.Wait(); err != nil {
		return nil, p.fail(err)
	}
	return &o, nil
}

// fail ends the child and returns what it says about the error.
func (p *process) fail(err error) error {
	if p.ctx.Err() != nil {
		err = p.ctx.Err() // which is why it ended
	}
	p.kill()
	text := strings.TrimSpace(p.errors.String())
	if lines := strings.Split(text, "\n"); len(lines) > 6 {
		text = strings.Join(lines[len(lines)-6:], "\n") // of Python's, the last ones matter
	}
	return fmt.Errorf("%w: %s", err, text)
}

func (p *process) kill() {
	p.cancel()
	p.in.Close()
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// together carries out jobs of an engine at the same time, each in a process
// of its own. All begin when all are ready.
func together(ctx context.Context, e *engine, jobs ...*job) ([]*outcome, error) {
	var all []*process
	defer func() {
		for _, p := range all {
			p.kill()
		}
	}()
	for _, j := range jobs {
		p, err := startProcess(ctx, e, j)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	for _, p := range all {
		if err := p.ready(); err != nil {
			return nil, err
		}
	}
	for _, p := range all {
		if err := p.begin(); err != nil {
			return nil, err
		}
	}
	out := make([]*outcome, len(all))
	for i, p := range all {
		var err error
		if out[i], err = p.outcome(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
