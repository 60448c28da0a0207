// sem: see bench/workloads/sem.c. A channel with capacity is Go's semaphore.
package main

import (
	"runtime"
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const permits = 10

func worker(times int, yields bool, sem chan struct{}, wg *sync.WaitGroup) {
	for i := 0; i < times; i++ {
		sem <- struct{}{}
		if yields {
			runtime.Gosched()
		}
		<-sem
	}
	wg.Done()
}

func main() {
	n := span.Arg(100)
	all := 1_000_000
	if n == 1 {
		all = 10_000_000
	}
	ops := all / n * n
	sem := make(chan struct{}, permits)
	var wg sync.WaitGroup
	t := span.Begin()
	wg.Add(n)
	for i := 0; i < n; i++ {
		go worker(all/n, n > 1, sem, &wg)
	}
	wg.Wait()
	t.End()
	span.Must(len(sem) == 0, "permits")
	t.Print("", float64(ops), float64(ops), time.Nanosecond, "ns")
}
