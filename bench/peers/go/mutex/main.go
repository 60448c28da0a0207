// mutex: see bench/workloads/mutex.c.
package main

import (
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const sections = 10_000_000

type shared struct {
	mutex sync.Mutex
	count int
}

func worker(times int, s *shared, wg *sync.WaitGroup) {
	for i := 0; i < times; i++ {
		s.mutex.Lock()
		s.count++
		s.mutex.Unlock()
	}
	wg.Done()
}

func main() {
	n := span.Arg(100)
	ops := sections / n * n
	s := &shared{}
	var wg sync.WaitGroup
	t := span.Begin()
	wg.Add(n)
	for i := 0; i < n; i++ {
		go worker(sections/n, s, &wg)
	}
	wg.Wait()
	t.End()
	span.Must(s.count == ops, "count")
	t.Print("", float64(ops), float64(ops), time.Nanosecond, "ns")
}
