// timers: see bench/workloads/timers.c; the same spans, by the same generator.
package main

import (
	"sort"
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	sleepers = 100_000
	minSpan  = 1 * time.Millisecond
	maxSpan  = 100 * time.Millisecond
)

var late [sleepers]time.Duration

func sleeper(index uint32, seed uint64, wg *sync.WaitGroup) {
	want := minSpan + time.Duration(span.Splitmix(seed+uint64(index))%uint64(maxSpan-minSpan+1))
	begun := time.Now()
	time.Sleep(want)
	late[index] = time.Since(begun) - want
	wg.Done()
}

func printLate(metric string, permille int) {
	span.Line(metric, float64(late[sleepers*permille/1000])/float64(time.Millisecond), "ms")
}

func oneRound(prefix string, seed uint64) {
	var wg sync.WaitGroup
	s := span.Begin()
	wg.Add(sleepers)
	for i := uint32(0); i < sleepers; i++ {
		go sleeper(i, seed, &wg)
	}
	wg.Wait()
	s.End()

	sort.Slice(late[:], func(i, j int) bool { return late[i] < late[j] })
	span.Must(late[0] >= 0, "a sleep ended too early")
	s.Print(prefix, 1, sleepers, time.Millisecond, "ms")
	printLate(prefix+"late_p50", 500)
	printLate(prefix+"late_p99", 990)
}

func main() {
	oneRound("first_", 1)
	oneRound("second_", 1+sleepers)
}
