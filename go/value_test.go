package shmkit_test

import (
	"sync"
	"testing"

	shmkit "github.com/shmkit/shmkit/go"
)

type reading struct {
	Value float64
	Flag  uint8
	Count uint32
	Tags  [4]uint8
}

func TestValuesAreWhatWasStored(t *testing.T) {
	region := newRegion(t, 64)
	number := opened[*shmkit.Value[float32]](t)(shmkit.OpenValue[float32](region, "number", 1.5))
	value, err := number.Load()
	if succeed(t, err); value != 1.5 {
		t.Error(value)
	}
	succeed(t, number.Store(2.5))
	after, err := number.Update(func(now float32) float32 { return now * 2 })
	if succeed(t, err); after != 5 {
		t.Error(after)
	}
	first := reading{Value: 0.5, Flag: 1, Count: 2, Tags: [4]uint8{1, 2, 3, 4}}
	record := opened[*shmkit.Value[reading]](t)(shmkit.OpenValue(region, "record", first))
	if record.Format() != "dB3xI4B" || record.String() != `shmkit.Value("record")` || record.Name() != "record" {
		t.Error(record.Format(), record)
	}
	seen, err := record.Load()
	if succeed(t, err); seen != first {
		t.Error(seen)
	}
	second := first
	second.Count = 7
	succeed(t, record.Store(second))
	same := opened[*shmkit.Value[reading]](t)(shmkit.OpenValue(region, "record", first))
	seen, err = same.Load()
	if succeed(t, err); seen != second {
		t.Error(seen)
	}
	succeed(t, same.Close())
	_, err = same.Load()
	expect(t, err, shmkit.ErrClosed)
	_, err = same.Update(func(now reading) reading { return now })
	expect(t, err, shmkit.ErrClosed)
	_, err = shmkit.OpenValue(region, "record", 1.5)
	expect(t, err, shmkit.ErrParameterMismatch)
	_, err = shmkit.OpenValue(region, "bad", "text")
	expect(t, err, shmkit.ErrInvalidArgument)
	_, err = region.Mutex("record")
	expect(t, err, shmkit.ErrWrongKind)
}

// holds checks that a value of this type is what was stored, also for a reader with a handle of its own.
func holds[T comparable](t *testing.T, region *shmkit.Region, name string, first, second T) {
	t.Helper()
	value := opened[*shmkit.Value[T]](t)(shmkit.OpenValue(region, name, first))
	same := opened[*shmkit.Value[T]](t)(shmkit.OpenValue(region, name, second))
	for _, expected := range []T{first, second, first} {
		succeed(t, value.Store(expected))
		seen, err := same.Load()
		if succeed(t, err); seen != expected {
			t.Error(name, seen, expected)
		}
	}
	after, err := same.Update(func(now T) T {
		if now != first {
			t.Error(name, now, first)
		}
		return second
	})
	if succeed(t, err); after != second {
		t.Error(name, after)
	}
	if seen, err := value.Load(); err != nil || seen != second {
		t.Error(name, seen, err)
	}
	succeed(t, value.Close())
	_, err = value.Load()
	expect(t, err, shmkit.ErrClosed)
	expect(t, value.Store(first), shmkit.ErrClosed)
}

func TestValuesOfEachLength(t *testing.T) {
	region := newRegion(t, 64, shmkit.WithArenaLen(1<<18))
	holds(t, region, "1", uint8(1), uint8(255))
	holds(t, region, "2", int16(-2), int16(258))
	holds(t, region, "3", [3]uint8{1, 2, 3}, [3]uint8{4, 5, 6})
	holds(t, region, "4", float32(1.5), float32(-2))
	holds(t, region, "5", [5]uint8{1, 2, 3, 4, 5}, [5]uint8{5, 4, 3, 2, 1})
	holds(t, region, "7", [7]uint8{6: 7}, [7]uint8{7})
	holds(t, region, "8", uint64(1)<<63, uint64(3))
	holds(t, region, "9", [9]uint8{8: 9}, [9]uint8{9})
	holds(t, region, "12", [3]uint32{1, 2, 3}, [3]uint32{4, 5, 6})
	holds(t, region, "15", [15]uint8{14: 15}, [15]uint8{15})
	holds(t, region, "16", [2]float64{1, 2}, [2]float64{3, 4})
	holds(t, region, "1000", [250]float32{249: 1}, [250]float32{2})
}

func TestNoReaderSeesAHalfAndNoUpdateIsLost(t *testing.T) {
	type wide [24]uint64
	const updates = 500
	region := newRegion(t, 64)
	value := opened[*shmkit.Value[wide]](t)(shmkit.OpenValue(region, "wide", wide{}))
	whole := func(now wide) bool {
		for _, word := range now {
			if word != now[0] {
				return false
			}
		}
		return true
	}
	var workers sync.WaitGroup
	for range 3 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for range updates {
				_, err := value.Update(func(now wide) wide {
					if !whole(now) {
						t.Errorf("torn: %v", now)
					}
					for i := range now {
						now[i]++
					}
					return now
				})
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	workers.Wait()
	if now, err := value.Load(); err != nil || !whole(now) || now[0] != 3*updates {
		t.Error(now, err)
	}
}

// A long value takes so long to read that writers overtake its readers.
func TestWhoIsOvertakenReadsAgain(t *testing.T) {
	type long [2000]uint64
	region := newRegion(t, 64, shmkit.WithArenaLen(1<<18))
	value := opened[*shmkit.Value[long]](t)(shmkit.OpenValue(region, "long", long{}))
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for range 2 {
		writers.Add(1)
		go func() {
			defer writers.Done()
			var next long
			for number := uint64(1); ; number++ {
				select {
				case <-stop:
					return
				default:
				}
				for i := range next {
					next[i] = number
				}
				if err := value.Store(next); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for range 8_000 {
		now, err := value.Load()
		succeed(t, err)
		for i := range now {
			if now[i] != now[0] {
				close(stop)
				writers.Wait()
				t.Fatal("torn", i, now[i], now[0])
			}
		}
	}
	close(stop)
	writers.Wait()
}
