package shmkit_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

// The test binary starts itself again as another process: with this variable set, it is a child that does what the
// function of that name does.
const childVariable = "SHMKIT_TEST_CHILD"

var children = map[string]func(name string) error{
	"hold":               holdGuard,
	"add":                addForEver,
	"holdLock":           holdLock,
	"answerTurns":        answerTurns,
	"holdMutex":          holdMutex,
	"arrive":             arrive,
	"count":              count,
	"holdPermit":         holdPermit,
	"answerEvents":       answerEvents,
	"holdReadLock":       holdReadLock,
	"addUnderLock":       addUnderLock,
	"lockBeyondTheLimit": lockBeyondTheLimit,
	"takeBlocks":         takeBlocks,
	"keepBlocks":         keepBlocks,
}

func TestMain(m *testing.M) {
	if task := os.Getenv(childVariable); task != "" {
		if err := children[task](os.Args[1]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is another process, which ends when its input does.
type child struct {
	command *exec.Cmd
	input   io.WriteCloser
	output  *bufio.Reader
}

func startChild(t *testing.T, task, argument string) *child {
	t.Helper()
	c := &child{command: exec.Command(os.Args[0], argument)}
	c.start(t, task)
	return c
}

// start starts a child whose command was made already.
func (c *child) start(t *testing.T, task string) {
	t.Helper()
	c.command.Env = append(os.Environ(), childVariable+"="+task)
	c.command.Stderr = os.Stderr
	input, err := c.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := c.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.input, c.output = input, bufio.NewReader(output)
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
}

// line waits for the child's next line.
func (c *child) line(t *testing.T) string {
	t.Helper()
	text, err := c.output.ReadString('\n')
	if err != nil {
		t.Fatalf("the child said %q and then ended: %v", text, err)
	}
	return strings.TrimSuffix(text, "\n")
}

// kill is SIGKILL: the child runs not one instruction more.
func (c *child) kill() {
	c.command.Process.Kill()
	c.command.Wait()
}

// waitForInput blocks until the parent closes the child's input.
func waitForInput() { io.Copy(io.Discard, os.Stdin) }

var names atomic.Int64

// freshName returns a name that nobody has, and removes its region when the test ends.
func freshName(t testing.TB) string {
	name := fmt.Sprintf("go-test-%d-%d", os.Getpid(), names.Add(1))
	t.Cleanup(func() {
		if err := shmkit.Unlink(name); err != nil && !errors.Is(err, shmkit.ErrNotFound) {
			t.Error(err)
		}
	})
	return name
}

// newRegion creates a region and closes it when the test ends.
func newRegion(t testing.TB, length int, opts ...shmkit.Option) *shmkit.Region {
	t.Helper()
	region, err := shmkit.Create(freshName(t), length, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := region.Close(); err != nil {
			t.Error(err)
		}
	})
	return region
}

// openAgain opens another handle on a region and closes it when the test ends.
func openAgain(t testing.TB, region *shmkit.Region, opts ...shmkit.Option) *shmkit.Region {
	t.Helper()
	again, err := shmkit.Open(region.Name(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	})
	return again
}

// expect fails the test unless err is of this kind and is told in full.
func expect(t testing.TB, err error, kind shmkit.ErrorKind) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v, want %v", err, kind)
	}
	var e *shmkit.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is no *shmkit.Error", err)
	}
	if e.Op == "" || e.Errno == 0 || !strings.Contains(e.Error(), e.Op) || !strings.Contains(e.Error(), e.Object) {
		t.Fatalf("%q does not tell %q on %q, errno %d", e.Error(), e.Op, e.Object, e.Errno)
	}
}

func succeed(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits, bounded, until a condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}
