package shmkit_test

import (
	"bytes"
	"runtime"
	"testing"

	shmkit "github.com/shmkit/shmkit/go"
)

// add returns machine code that adds two integers, and subtract that subtracts them.
func machineCode(t testing.TB) (add, subtract []byte) {
	switch runtime.GOARCH {
	case "amd64":
		return []byte{0x48, 0x8d, 0x04, 0x37, 0xc3}, // lea rax, [rdi + rsi]; ret
			[]byte{0x48, 0x89, 0xf8, 0x48, 0x29, 0xf0, 0xc3} // mov rax, rdi; sub rax, rsi; ret
	case "arm64":
		return []byte{0x00, 0x00, 0x01, 0x8b, 0xc0, 0x03, 0x5f, 0xd6}, // add x0, x0, x1; ret
			[]byte{0x00, 0x00, 0x01, 0xcb, 0xc0, 0x03, 0x5f, 0xd6} // sub x0, x0, x1; ret
	}
	t.Fatal("no code for ", runtime.GOARCH)
	return nil, nil
}

func expectCall(t testing.TB, code *shmkit.CodeMemory, want uintptr) {
	t.Helper()
	if got, err := code.Call(40, 2); got != want || err != nil {
		t.Errorf("%d, %v; want %d", got, err, want)
	}
}

func TestCodeIsWrittenThenSealedThenCalled(t *testing.T) {
	add, _ := machineCode(t)
	code, err := shmkit.NewCodeMemory(4096)
	succeed(t, err)
	_, err = code.WriteAt(add, 0)
	succeed(t, err)
	_, err = code.Call(40, 2)
	expect(t, err, shmkit.ErrPermissionDenied)
	if code.Executable() || code.Sealed() || code.Len() != 4096 {
		t.Error(code)
	}
	succeed(t, code.Seal())
	if !code.Executable() || !code.Sealed() {
		t.Error(code)
	}
	expectCall(t, code, 42)
	_, err = code.WriteAt(add, 0)
	expect(t, err, shmkit.ErrReadOnly)
	back := make([]byte, len(add))
	succeed(t, code.ReadFullAt(back, 0))
	if !bytes.Equal(back, add) {
		t.Errorf("%x", back)
	}
	succeed(t, code.Close())
	succeed(t, code.Close())
	_, err = code.Call()
	expect(t, err, shmkit.ErrClosed)
}

func TestCodeIsPatchedWhileItIsInUse(t *testing.T) {
	add, subtract := machineCode(t)
	for _, option := range []shmkit.CodeOption{shmkit.Patchable(), shmkit.AllowWX()} {
		code, err := shmkit.NewCodeMemory(64, option)
		succeed(t, err)
		_, err = code.WriteAt(add, 0)
		succeed(t, err)
		expectCall(t, code, 42)
		_, err = code.WriteAt(subtract, 0)
		succeed(t, err)
		expectCall(t, code, 38)
		succeed(t, code.Seal())
		_, err = code.WriteAt(add, 0)
		expect(t, err, shmkit.ErrReadOnly)
		expectCall(t, code, 38)
		succeed(t, code.Close())
	}
}

func TestMisuseOfCodeIsRefused(t *testing.T) {
	_, err := shmkit.NewCodeMemory(0)
	expect(t, err, shmkit.ErrInvalidLength)
	_, err = shmkit.NewCodeMemory(-1)
	expect(t, err, shmkit.ErrInvalidLength)
	_, err = shmkit.NewCodeMemory(64, shmkit.Patchable(), shmkit.AllowWX())
	expect(t, err, shmkit.ErrInvalidArgument)
	code, err := shmkit.NewCodeMemory(64, shmkit.Patchable())
	succeed(t, err)
	defer code.Close()
	_, err = code.WriteAt(make([]byte, 5), 60)
	expect(t, err, shmkit.ErrOutOfRange)
	_, err = code.WriteAt(nil, -1)
	expect(t, err, shmkit.ErrOutOfRange)
	_, err = code.CallAt(64)
	expect(t, err, shmkit.ErrOutOfRange)
	_, err = code.Call(1, 2, 3, 4, 5, 6, 7)
	expect(t, err, shmkit.ErrInvalidArgument)
}
