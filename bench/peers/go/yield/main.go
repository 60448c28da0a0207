// yield: see bench/workloads/yield.c.
package main

import (
	"runtime"
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	yields = 10_000_000
	warmUp = 10
)

func yielder(times int, wg *sync.WaitGroup) {
	for i := 0; i < times; i++ {
		runtime.Gosched()
	}
	wg.Done()
}

func pass(n, times int) {
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		go yielder(times, &wg)
	}
	wg.Wait()
}

func main() {
	n := span.Arg(2)
	ops := float64(yields / n * n)
	pass(n, warmUp)
	s := span.Begin()
	pass(n, yields/n)
	s.End()
	s.Print("", ops, ops, time.Nanosecond, "ns")
}
