package memo_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-diskcache/diskcache/cache"
	"github.com/go-diskcache/diskcache/memo"
)

// The test starts this binary again as other processes: with helperVar set
// and a directory as its argument.
const helperVar = "DISKCACHE_MEMO_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperVar) == "" {
		os.Exit(m.Run())
	}
	if err := helper(os.Args[len(os.Args)-1], os.Getenv(helperVar)); err != nil {
		fmt.Fprintln(os.Stderr, "helper:", err)
		os.Exit(1)
	}
}

// helper calls a function that notes its calls in a file: "call" at once, and
// "hang" never returns.
func helper(dir, mode string) error {
	ctx := context.Background()
	st, err := cache.OpenStore(ctx, filepath.Join(dir, "store"), nil)
	if err != nil {
		return err
	}
	m, err := memo.New(ctx, st, "m", func(ctx context.Context, arg string) (string, error) {
		f, err := os.OpenFile(filepath.Join(dir, "calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return "", err
		}
		defer f.Close()
		if _, err := fmt.Fprintln(f, mode); err != nil {
			return "", err
		}
		if mode == "hang" {
			fmt.Println("computing")
			select {}
		}
		time.Sleep(20 * time.Millisecond)
		return strings.ToUpper(arg), nil
	}, nil)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	in.Scan()
	v, err := m.Call(ctx, "a")
	if err != nil {
		return err
	}
	fmt.Println(v)
	return st.Close()
}

// Several processes that miss at the same time compute once. When the process
// that computes is killed, another one takes over.
func TestProcesses(t *testing.T) {
	dir := t.TempDir()
	ok(t, os.Mkdir(filepath.Join(dir, "store"), 0o700))
	exe, err := os.Executable()
	ok(t, err)
	type child struct {
		cmd  *exec.Cmd
		say  func()
		hear func(want string)
	}
	start := func(mode string) child {
		cmd := exec.Command(exe, dir)
		cmd.Env = append(os.Environ(), helperVar+"="+mode)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		ok(t, err)
		out, err := cmd.StdoutPipe()
		ok(t, err)
		ok(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		lines := bufio.NewScanner(out)
		return child{cmd, func() { fmt.Fprintln(in, "go") }, func(want string) {
			t.Helper()
			if lines.Scan(); lines.Text() != want {
				t.Fatalf("helper says %q, want %q", lines.Text(), want)
			}
		}}
	}
	hangs := start("hang")
	hangs.hear("ready")
	var others []child
	for range 3 {
		c := start("call")
		c.hear("ready")
		others = append(others, c)
	}
	hangs.say()
	hangs.hear("computing")
	for _, c := range others {
		c.say()
	}
	ok(t, hangs.cmd.Process.Kill())
	for _, c := range others {
		c.hear("A")
		ok(t, c.cmd.Wait())
	}
	_ = hangs.cmd.Wait()
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	ok(t, err)
	equal(t, string(calls), "hang\ncall\n")
}
