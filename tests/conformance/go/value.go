package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	shmkit "github.com/shmkit/shmkit/go"
)

// sample is what commands call so: a struct of two kinds of numbers.
type sample struct {
	Kind, Count uint32
	Position    [3]float64
}

// typedValue is a value, and how it is made of the numbers that commands name.
type typedValue[T any] struct {
	*shmkit.Value[T]
	of      func([]float64) T
	numbers func(T) []float64
}

// anyValue is a value of one of the types that commands know.
type anyValue interface {
	object
	runValue(c command) (string, error)
}

func openValue(region *shmkit.Region, name string, c command) (object, error) {
	switch c.arguments["type"] {
	case "u64":
		return openTyped(region, name, c, 1,
			func(n []float64) uint64 { return uint64(n[0]) },
			func(v uint64) []float64 { return []float64{float64(v)} })
	case "f64":
		return openTyped(region, name, c, 1,
			func(n []float64) float64 { return n[0] },
			func(v float64) []float64 { return []float64{v} })
	case "shorts":
		return openTyped(region, name, c, 3,
			func(n []float64) [3]uint16 { return [3]uint16{uint16(n[0]), uint16(n[1]), uint16(n[2])} },
			func(v [3]uint16) []float64 { return []float64{float64(v[0]), float64(v[1]), float64(v[2])} })
	case "sample":
		return openTyped(region, name, c, 5,
			func(n []float64) sample { return sample{uint32(n[0]), uint32(n[1]), [3]float64(n[2:])} },
			func(v sample) []float64 {
				return append([]float64{float64(v.Kind), float64(v.Count)}, v.Position[:]...)
			})
	}
	return nil, fmt.Errorf("type=%s", c.arguments["type"])
}

func openTyped[T any](region *shmkit.Region, name string, c command, count int, of func([]float64) T, numbers func(T) []float64) (object, error) {
	var initial T
	if c.has("initial") {
		given, err := c.numbers("initial", count)
		if err != nil {
			return nil, err
		}
		initial = of(given)
	}
	value, err := shmkit.OpenValue(region, name, initial)
	if err != nil {
		return nil, err
	}
	return &typedValue[T]{value, of, numbers}, nil
}

// numbers returns an argument that is so many numbers with commas between.
func (c command) numbers(key string, count int) ([]float64, error) {
	words := strings.Split(c.arguments[key], ",")
	if len(words) != count {
		return nil, fmt.Errorf("%s=%s", key, c.arguments[key])
	}
	numbers := make([]float64, count)
	for i, word := range words {
		number, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil, err
		}
		numbers[i] = number
	}
	return numbers, nil
}

func (v *typedValue[T]) runValue(c command) (string, error) {
	switch c.op {
	case "value_load":
		value, err := v.Load()
		var words []string
		for _, number := range v.numbers(value) {
			words = append(words, strconv.FormatFloat(number, 'g', -1, 64))
		}
		return " value=" + strings.Join(words, ","), err
	case "value_store":
		var now T
		numbers, err := c.numbers("value", len(v.numbers(now)))
		if err != nil {
			return "", err
		}
		return "", v.Store(v.of(numbers))
	case "value_count":
		return "", v.count(c)
	case "value_format":
		var now T
		return fmt.Sprintf(" format=%s size=%d", v.Format(), unsafe.Sizeof(now)), nil
	}
	return unknown(c)
}

// count makes each number of the value one higher, so many times. They are to be equal all the time.
func (v *typedValue[T]) count(c command) error {
	times, err := c.number("count")
	for range times {
		value, err := v.Update(func(value T) T {
			numbers := v.numbers(value)
			for i := range numbers {
				numbers[i]++
			}
			return v.of(numbers)
		})
		if err != nil {
			return err
		}
		for _, number := range v.numbers(value) {
			if number != v.numbers(value)[0] {
				return errors.New("halves of two values")
			}
		}
	}
	return err
}

// runDirectory does what a command says with the list of named objects.
func (r *runner) runDirectory(c command) (string, error) {
	region, err := find[*shmkit.Region](r, c)
	if err != nil {
		return "", err
	}
	switch c.op {
	case "object_remove":
		return "", region.RemoveObject(c.arguments["name"])
	case "object_find":
		info, err := region.FindObject(c.arguments["name"])
		return fmt.Sprintf(" kind=%s users=%d", encode(kindName(info.Kind)), info.Users), err
	case "object_list":
		objects, err := region.Objects()
		var names []string
		for _, object := range objects {
			names = append(names, object.Name)
		}
		return " names=" + strings.Join(names, ","), err
	}
	modes := map[string]shmkit.ObjectMode{
		"find_or_create": shmkit.FindOrCreate, "find": shmkit.Find, "create": shmkit.CreateNew,
	}
	mode, known := modes[c.arguments["mode"]]
	if !known {
		return "", fmt.Errorf("mode=%s", c.arguments["mode"])
	}
	other, err := region.WithMode(mode)
	if err == nil {
		r.objects[c.arguments["o"]] = other
	}
	return "", err
}

func kindName(kind shmkit.ObjectKind) string {
	names := map[shmkit.ObjectKind]string{
		shmkit.KindMutex: "mutex", shmkit.KindRwLock: "rwlock", shmkit.KindSemaphore: "semaphore",
		shmkit.KindTrackedSemaphore: "tracked semaphore", shmkit.KindCondvar: "condvar", shmkit.KindEvent: "event",
		shmkit.KindBarrier: "barrier", shmkit.KindAtomicU32: "atomic u32", shmkit.KindAtomicU64: "atomic u64",
		shmkit.KindAtomicI64: "atomic i64", shmkit.KindHeap: "heap", shmkit.KindPool: "pool", shmkit.KindValue: "value",
	}
	return names[kind]
}
