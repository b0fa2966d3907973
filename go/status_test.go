package shmkit_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	shmkit "github.com/shmkit/shmkit/go"
)

func statusOf(t testing.TB, region *shmkit.Region) *shmkit.Status {
	t.Helper()
	status, err := region.Status()
	succeed(t, err)
	return status
}

func objectOf(t testing.TB, status *shmkit.Status, name string) shmkit.ObjectStatus {
	t.Helper()
	index := slices.IndexFunc(status.Objects, func(o shmkit.ObjectStatus) bool { return o.Name == name })
	if index < 0 {
		t.Fatalf("no object %q in %+v", name, status)
	}
	return status.Objects[index]
}

func TestAStatusSaysWhoHoldsWhat(t *testing.T) {
	region := newRegion(t, 100)
	mutex, err := region.Mutex("totals")
	succeed(t, err)
	succeed(t, mutex.Lock(context.Background()))
	permits, err := region.Semaphore("permits", 3, shmkit.Tracked())
	succeed(t, err)
	succeed(t, permits.Acquire(context.Background()))
	large, err := region.AtomicU64("large", math.MaxUint64)
	succeed(t, err)
	small, err := region.AtomicI64("small", math.MinInt64)
	succeed(t, err)

	status := statusOf(t, openAgain(t, region, shmkit.ReadOnly()))
	if status.Name != region.Name() || status.Len != 100 || status.CreatorPID != os.Getpid() || status.Abandoned() {
		t.Errorf("%+v", status)
	}
	if age := time.Since(time.Unix(0, status.CreatedNs)); age < 0 || age > time.Hour {
		t.Errorf("created %v ago", age)
	}
	if len(status.Attachments) != 1 || status.Attachments[0].PID != os.Getpid() || status.Attachments[0].Label == "" {
		t.Errorf("%+v", status.Attachments)
	}
	if age := status.Now - status.Attachments[0].Attached; age < 0 || age > time.Hour {
		t.Errorf("attached %v ago", age)
	}
	if held := objectOf(t, status, "totals"); held.Kind != "mutex" || held.Users != 1 ||
		!reflect.DeepEqual(held.Holder, &shmkit.Holder{PID: os.Getpid(), Alive: true}) || held.Value != "" {
		t.Errorf("%+v", held)
	}
	if held := objectOf(t, status, "permits"); held.Value != "2" ||
		!slices.Equal(held.Shares, []shmkit.Share{{PID: os.Getpid(), Alive: true, Count: 1}}) {
		t.Errorf("%+v", held)
	}
	if guard := objectOf(t, status, ""); guard.Holder != nil || guard.Kind != "guard" {
		t.Errorf("%+v", guard)
	}
	if l, s := objectOf(t, status, "large"), objectOf(t, status, "small"); l.Value != "18446744073709551615" ||
		s.Value != "-9223372036854775808" {
		t.Errorf("%+v, %+v", l, s)
	}
	succeed(t, permits.Release(1))
	succeed(t, mutex.Unlock())
	for _, object := range []interface{ Close() error }{mutex, permits, large, small} {
		succeed(t, object.Close())
	}
}

func TestAStatusSaysWhoWaitsForTheDeadAndTheLiving(t *testing.T) {
	region := newRegion(t, 100)
	holder := startChild(t, "hold", region.Name())
	if line := holder.line(t); line != "held" {
		t.Fatal(line)
	}
	waited := make(chan error)
	go func() { waited <- region.Lock(context.Background()) }()
	eventually(t, "a wait of 50 ms for the guard", func() bool {
		status := statusOf(t, region)
		guard := objectOf(t, status, "").Holder
		me := slices.IndexFunc(status.Attachments, func(a shmkit.AttachmentStatus) bool { return a.PID == os.Getpid() })
		waits := status.Attachments[me]
		return guard.PID == holder.command.Process.Pid && guard.Alive && guard.Since != nil &&
			waits.WaitsFor != nil && *waits.WaitsFor == "" && status.Now-*waits.Waits > 50*time.Millisecond
	})
	holder.kill()
	expect(t, <-waited, shmkit.ErrOwnerDied)
	if guard := objectOf(t, statusOf(t, region), ""); !guard.OwnerDied || guard.Deaths != 1 {
		t.Errorf("%+v", guard)
	}
	succeed(t, region.MakeConsistent())
	succeed(t, region.Unlock())
}

func TestALongStatusAndAClosedRegion(t *testing.T) {
	region := newRegion(t, 100)
	for index := range 200 {
		event, err := region.Event(fmt.Sprintf("%0100d", index), shmkit.ManualReset)
		succeed(t, err)
		succeed(t, event.Close())
	}
	if status := statusOf(t, region); len(status.Objects) != 201 {
		t.Errorf("%d objects", len(status.Objects))
	}
	again := openAgain(t, region)
	succeed(t, again.Close())
	_, err := again.Status()
	expect(t, err, shmkit.ErrClosed)
}

func TestTheListHasEveryRegionByName(t *testing.T) {
	region := newRegion(t, 100)
	names, err := shmkit.List()
	succeed(t, err)
	if !slices.Contains(names, region.Name()) || !slices.IsSorted(names) {
		t.Errorf("%q", names)
	}
	succeed(t, shmkit.Unlink(region.Name()))
	names, err = shmkit.List()
	succeed(t, err)
	if slices.Contains(names, region.Name()) {
		t.Errorf("%q", names)
	}
}
