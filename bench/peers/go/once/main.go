// once: see bench/workloads/once.c.
package main

import (
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	workers = 100
	times   = 100_000_000 / workers
)

var (
	once sync.Once
	runs int
)

func run() {
	runs++
}

func worker(wg *sync.WaitGroup) {
	for i := 0; i < times; i++ {
		once.Do(run)
	}
	wg.Done()
}

func main() {
	var wg sync.WaitGroup
	t := span.Begin()
	wg.Add(workers)
	for i := 0; i < workers; i++ {
		go worker(&wg)
	}
	wg.Wait()
	t.End()
	span.Must(runs == 1, "runs")
	t.Print("", times*workers, times*workers, time.Nanosecond, "ns")
}
