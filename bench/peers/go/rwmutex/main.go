// rwmutex: see bench/workloads/rwmutex.c.
package main

import (
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	workers = 100
	times   = 20_000_000 / workers
)

type shared struct {
	rw   sync.RWMutex
	a, b int
}

func worker(every int, s *shared, wg *sync.WaitGroup) {
	left, unequal := every, 0
	for i := 0; i < times; i++ {
		left--
		if left == 0 {
			left = every
			s.rw.Lock()
			s.a++
			s.b++
			s.rw.Unlock()
		} else {
			s.rw.RLock()
			unequal += s.a - s.b
			s.rw.RUnlock()
		}
	}
	span.Must(unequal == 0, "a == b")
	wg.Done()
}

func main() {
	every := span.Arg(10000)
	s := &shared{}
	var wg sync.WaitGroup
	t := span.Begin()
	wg.Add(workers)
	for i := 0; i < workers; i++ {
		go worker(every, s, &wg)
	}
	wg.Wait()
	t.End()
	span.Must(s.a == times/every*workers, "changes")
	t.Print("", times*workers, times*workers, time.Nanosecond, "ns")
}
