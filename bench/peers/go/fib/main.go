// fib: see bench/workloads/fib.c. The join is a WaitGroup and a captured variable; a channel of one result costs more.
package main

import (
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	number = 32
	cut    = 10
	result = 2178309
	spawns = 75024
)

func fibPlain(n int) int {
	if n < 2 {
		return n
	}
	return fibPlain(n-1) + fibPlain(n-2)
}

func fib(n int) int {
	if n < cut {
		return fibPlain(n)
	}
	var wg sync.WaitGroup
	var left int
	wg.Add(1)
	go func() {
		left = fib(n - 1)
		wg.Done()
	}()
	right := fib(n - 2)
	wg.Wait()
	return left + right
}

func main() {
	s := span.Begin()
	sum := fib(number)
	s.End()
	span.Must(sum == result, "fib(32) is wrong")
	s.Print("", 1, spawns, time.Millisecond, "ms")

	s = span.Begin()
	sum = fibPlain(number)
	s.End()
	span.Must(sum == result, "fib(32) is wrong")
	span.Line("sequential", float64(s.Wall)/float64(time.Millisecond), "ms")
}
