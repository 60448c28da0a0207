// once: see bench/workloads/once.c.
package main

import (
	"runtime"
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	workers = 100
	times   = 100_000_000 / workers
)

var (
	once []sync.Once
	runs int
)

func run() {
	if len(once) > 1 {
		runtime.Gosched()
	}
	runs++
}

func again(wg *sync.WaitGroup) {
	o := &once[0]
	for i := 0; i < times; i++ {
		o.Do(run)
	}
	wg.Done()
}

func each(wg *sync.WaitGroup) {
	for i := range once {
		once[i].Do(run)
	}
	wg.Done()
}

func main() {
	n := span.Arg(1)
	calls := n * workers
	body := each
	if n == 1 {
		calls = times * workers
		body = again
	}
	once = make([]sync.Once, n)
	var wg sync.WaitGroup
	t := span.Begin()
	wg.Add(workers)
	for i := 0; i < workers; i++ {
		go body(&wg)
	}
	wg.Wait()
	t.End()
	span.Must(runs == n, "runs")
	t.Print("", float64(calls), float64(calls), time.Nanosecond, "ns")
}
