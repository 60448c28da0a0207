// offload: see bench/workloads/offload.c. The goroutine at the other end is locked to its thread.
package main

import (
	"runtime"
	"sort"
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	trips  = 20000
	warmUp = 100
)

var took [trips]time.Duration

func locked(work <-chan int, done chan<- int) {
	runtime.LockOSThread()
	for n := range work {
		done <- n + 1
	}
}

func main() {
	work, done := make(chan int), make(chan int)
	var s *span.Span
	go locked(work, done)
	for i := -warmUp; i < trips; i++ {
		if i == 0 {
			s = span.Begin()
		}
		begun := time.Now()
		work <- 1
		span.Must(<-done == 2, "the answer")
		if i >= 0 {
			took[i] = time.Since(begun)
		}
	}
	s.End()
	span.Line("wall", float64(s.Wall)/trips/1e3, "us")
	span.Line("cpu", float64(s.CPU)/trips/1e3, "us")
	sort.Slice(took[:], func(i, j int) bool { return took[i] < took[j] })
	span.Line("p50", float64(took[trips/2])/1e3, "us")
	span.Line("p99", float64(took[trips/100*99])/1e3, "us")
}
